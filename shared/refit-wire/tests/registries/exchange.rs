//! What a recording of a registry asks for.

use std::sync::Arc;

use refit_testkit::recording::{head, registration};
use refit_wire::registry::{ModelRegistry, RegistryConfig, enter, has_stage, look_up, register};

use crate::said::{self, Played, Script};

/// Plays every case of a recording, whose head has the registry; returns the text the file should have as well.
pub(crate) fn play(text: &str) -> (Vec<Played>, String) {
    let line = head(text, "registry").expect("a registry");
    let config: RegistryConfig = serde_json::from_str(line).expect("settings");
    let registry: Arc<dyn ModelRegistry> = Arc::from(config.open().expect("it opens"));
    said::play(text, |script, asked| ask(script, &registry, asked))
}

/// Does what a line says, such as `enter 3 staging`.
fn ask(script: &mut Script<'_>, registry: &Arc<dyn ModelRegistry>, asked: &str) -> String {
    let mut words = asked.split(' ');
    let verb = words.next().unwrap_or_default();
    let mut place = || {
        let mut word = || words.next().unwrap_or_default();
        ("churn", word(), word().parse().expect("a stage"))
    };
    match verb {
        "find" => format!("{:?}", script.follow(registry.find(&registration()))),
        "create" => format!("{:?}", script.follow(registry.create(&registration()))),
        "stages" => format!("{:?}", script.follow(registry.stages("churn"))),
        "register" => format!("{:?}", script.follow(register(registry, &registration()))),
        "look_up" => format!("{:?}", script.follow(look_up(registry, &registration()))),
        "enter" => format!("{:?}", script.follow(enter(registry, place()))),
        "has_stage" => format!("{:?}", script.follow(has_stage(registry, place()))),
        _ => panic!("unknown verb: {verb}"),
    }
}
