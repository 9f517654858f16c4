//! `refit env`: the environment variables.

use std::fmt;

use refit_host::environment::VARIABLES;
use refit_platform::env;
use serde::Serialize;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::table;

/// List the environment variables that are read, and which are set here
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Debug, Serialize)]
struct Variables {
    variables: Vec<Variable>,
}

#[derive(Debug, Serialize)]
struct Variable {
    name: &'static str,
    /// Whether it is set here; never what to.
    is_set: bool,
    meaning: &'static str,
    default: &'static str,
    /// The programs that read it; `refit` is the command line.
    read_by: Vec<&'static str>,
}

pub(super) async fn run(context: &Context, _: Args) -> Result<Exit, Failure> {
    let variables = VARIABLES.iter().map(|known| Variable {
        name: known.name,
        is_set: env::var(known.name).is_some(),
        meaning: known.meaning,
        default: known.default,
        read_by: known.read_by.iter().map(|reader| reader.name()).collect(),
    });
    context.output.show(&Variables { variables: variables.collect() })?;
    Ok(Exit::Ok)
}

impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.variables.iter().map(|variable| {
            let Variable { name, is_set, meaning, default, .. } = variable;
            let set = if *is_set { "yes" } else { "no" };
            [(*name).to_owned(), set.to_owned(), format!("{meaning} [default: {default}]")]
        });
        f.write_str(&table(["NAME", "SET", "MEANING"], cells))
    }
}
