//! `refit models`: the versions of models, and what each waits for.

use std::collections::BTreeMap;
use std::fmt;

use refit_core::promotion::{Model, PromoteRule, Promotion, PromotionPhase, Stage};
use refit_core::rules::Rules;
use refit_core::state::BatchId;
use refit_core::time::Timestamp;
use serde::Serialize;
use serde_json::Number;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::table;
use crate::words::or_dash;

/// List versions of models, newest first: where each stands, and what it waits for
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Those that are on their way or have a stage, and the last fifty of each model that are over.

Examples:
  refit models
  refit models churn --json | jq '.models[0].stages'"
)]
pub(crate) struct Args {
    /// Only this model
    model: Option<String>,
}

#[derive(Debug, Serialize)]
struct Models {
    models: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Listed {
    model: String,
    registry: String,
    /// The version that has each stage.
    stages: BTreeMap<Stage, String>,
    versions: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// The registry's name of it, once it has one.
    version: Option<String>,
    phase: PromotionPhase,
    stage: Option<Stage>,
    /// What it waits for, or why nothing more comes of it.
    word: String,
    run: BatchId,
    trigger: String,
    begun_at: Timestamp,
    uri: Option<String>,
    metrics: BTreeMap<String, Number>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let book = opened.rules(&state).await?.and_then(Result::ok);
    let rules = book.as_ref().map(|book| &*book.rules);
    if let Some(name) = args.model.as_ref().filter(|name| !state.models.contains_key(*name)) {
        let known = state.models.keys().cloned().collect::<Vec<_>>().join(", ");
        let message =
            format!("no version of such a model is known: model=`{name}`, known=`{known}`");
        return Err(Failure::new(Exit::NotFound, message));
    }
    let asked = |(name, _): &(&String, &Model)| args.model.as_ref().is_none_or(|it| it == *name);
    let models = state.models.iter().filter(asked).map(|(name, model)| Listed {
        model: name.clone(),
        registry: model.registry.clone(),
        stages: model.holders.iter().map(|(stage, it)| (*stage, it.version.clone())).collect(),
        versions: model
            .promotions
            .values()
            .rev()
            .map(|it| Row::of((name, model), it, rules))
            .collect(),
    });
    context.output.show(&Models { models: models.collect() })?;
    Ok(Exit::Ok)
}

impl Row {
    fn of((name, model): (&str, &Model), promotion: &Promotion, rules: Option<&Rules>) -> Self {
        let rule = rules.and_then(|rules| promotion.rule(rules, name));
        let version = promotion.version.as_ref();
        Self {
            version: version.map(|version| version.name.clone()),
            phase: promotion.phase,
            stage: promotion.stage,
            word: word(model, promotion, rule),
            run: promotion.run,
            trigger: promotion.trigger.clone(),
            begun_at: promotion.begun_at,
            uri: version.and_then(|version| version.uri.clone()),
            metrics: version.map(|version| version.metrics.clone()).unwrap_or_default(),
        }
    }
}

/// What a version waits for, or why nothing more comes of it.
fn word(model: &Model, promotion: &Promotion, rule: Option<&PromoteRule>) -> String {
    let said = |what: &str| {
        let word = promotion.intent.as_ref().and_then(|intent| intent.message.as_ref());
        word.map_or_else(|| what.to_owned(), |word| format!("{what}: {word}"))
    };
    let next = promotion.request().map(|request| request.stage);
    match promotion.phase {
        PromotionPhase::Registering => said("waits for its registry"),
        PromotionPhase::Candidate => "waits to be asked for: refit request".to_owned(),
        PromotionPhase::Accepted => "waits to be asked for production: refit request".to_owned(),
        PromotionPhase::Requested => approvals(model, promotion, rule),
        PromotionPhase::Entering => {
            said(&format!("waits for its registry to give it {}", or_dash(next)))
        }
        PromotionPhase::Testing => {
            format!("waits for its acceptance test: {}", or_dash(promotion.test))
        }
        PromotionPhase::Promoted => String::new(),
        PromotionPhase::Archived => "another version took its stage".to_owned(),
        PromotionPhase::Moved => "somebody gave it its stage at the registry".to_owned(),
        PromotionPhase::Refused => promotion.faults.join("; "),
        PromotionPhase::Rejected | PromotionPhase::Failed => {
            let ended = promotion.ended.as_ref();
            let by =
                ended.and_then(|ended| ended.person.as_ref()).map(|person| format!("{person}: "));
            let why = ended.map(|ended| ended.reason.as_str()).unwrap_or_default();
            format!("{}{why}", by.unwrap_or_default())
        }
    }
}

fn approvals(model: &Model, promotion: &Promotion, rule: Option<&PromoteRule>) -> String {
    let Some(request) = promotion.request() else { return String::new() };
    let stage = request.stage;
    let Some(rule) = rule else {
        return format!("waits for {stage}, and no rule in force says what that takes");
    };
    let counted = promotion.counted(rule);
    let needed = rule.needed(request);
    match promotion.is_approved(rule) {
        true => match model.tested_before(promotion).map(|tested| or_dash(tested.name())) {
            Some(tested) => format!("waits for the acceptance test of version {tested}"),
            None => format!("waits until another version has its stage, then for {stage}"),
        },
        false => {
            let by = if counted.is_empty() {
                String::new()
            } else {
                format!(" ({})", counted.join(", "))
            };
            format!("waits for approvals for {stage}: {} of {needed}{by}", counted.len())
        }
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.models.is_empty() {
            return f.write_str("no versions of models");
        }
        let head =
            ["MODEL", "VERSION", "PHASE", "STAGE", "RUN", "TRIGGER", "REGISTRY", "BEGUN", "WORD"];
        let cells = self.models.iter().flat_map(|model| {
            model.versions.iter().map(move |row| {
                [
                    model.model.clone(),
                    or_dash(row.version.as_ref()),
                    row.phase.text().to_owned(),
                    or_dash(row.stage),
                    row.run.to_string(),
                    row.trigger.clone(),
                    model.registry.clone(),
                    row.begun_at.to_string(),
                    row.word.clone(),
                ]
            })
        });
        f.write_str(&table(head, cells))
    }
}
