//! What a recording of a pipeline service asks for.

use refit_core::plan::Prepared;
use refit_core::run::ExternalRun;
use refit_testkit::recording::{self, launch as launch_of};
use refit_wire::call::Step;
use refit_wire::pipeline::{PipelineService, ServiceConfig};
use serde_json::Value;

use crate::said::{self, Played, Script};

/// Plays every case of a recording, whose head has the service and the launch they share; returns the text the file
/// should have as well.
pub(crate) fn play(text: &str) -> (Vec<Played>, String) {
    let head = |name: &str| {
        let line = recording::head(text, name);
        line.map_or(Value::Null, |json| serde_json::from_str(json).expect("the head is JSON"))
    };
    let config: ServiceConfig = serde_json::from_value(head("service")).expect("settings");
    let service = config.open().expect("the service opens");
    let launch = head("launch");
    said::play(text, |script, asked| ask(script, (&*service, &launch), asked))
}

fn ask(
    script: &mut Script<'_>,
    (service, launch): (&dyn PipelineService, &Value),
    asked: &str,
) -> String {
    let (verb, input) = asked.split_once(' ').unwrap_or((asked, "{}"));
    let run = ExternalRun { id: input.to_owned(), url: None };
    match verb {
        "prepare" => {
            let target: Value = serde_json::from_str(input).expect("a target");
            prepared(script.follow(service.prepare(&target)))
        }
        "start" => {
            let launch = patched(launch, input);
            format!("{:?}", script.follow(service.start(&launch_of(&launch).expect("a launch"))))
        }
        "find" => {
            let launch = patched(launch, input);
            let call = service
                .find(&launch_of(&launch).expect("a launch"))
                .expect("the service has a look-up");
            format!("{:?}", script.follow(Step::Send(call)))
        }
        "status" => format!("{:?}", script.follow(Step::Send(service.status(&run)))),
        "cancel" => {
            let call = service.cancel(&run).expect("the service can cancel");
            format!("{:?}", script.follow(Step::Send(call)))
        }
        _ => panic!("unknown verb: {verb}"),
    }
}

fn patched(launch: &Value, patch: &str) -> Value {
    let mut launch = launch.clone();
    let patch: Value = serde_json::from_str(patch).expect("a launch");
    for (name, value) in patch.as_object().into_iter().flatten() {
        launch[name] = value.clone();
    }
    launch
}

fn prepared(result: Result<Prepared, String>) -> String {
    match result {
        Ok(prepared) => format!("{:#}", serde_json::to_value(prepared).expect("it is JSON")),
        Err(message) => format!("Err({message:?})"),
    }
}
