//! What a recording of a registry asks for.

use std::sync::Arc;

use refit_wire::registry::{
    ModelRegistry, Registration, RegistryConfig, enter, has_stage, look_up, register,
};

use crate::said::{self, Played, Script};

/// Plays every case of a recording, whose head has the registry; returns the text the file should have as well.
pub(crate) fn play(text: &str) -> (Vec<Played>, String) {
    let line = said::head(text, "registry").expect("a registry");
    let config: RegistryConfig = serde_json::from_str(line).expect("settings");
    let registry: Arc<dyn ModelRegistry> = Arc::from(config.open().expect("it opens"));
    said::play(text, |script, asked| ask(script, &registry, asked))
}

fn wanted() -> Registration {
    Registration {
        model: "churn".to_owned(),
        key: "rf-00112233445566778899aabbccddeeff".parse().expect("a run key"),
        external: "run-7".to_owned(),
        trigger: "churn-new-data".to_owned(),
        batch: "b12".to_owned(),
    }
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
        "find" => format!("{:?}", script.follow(registry.find(&wanted()))),
        "create" => format!("{:?}", script.follow(registry.create(&wanted()))),
        "stages" => format!("{:?}", script.follow(registry.stages("churn"))),
        "register" => format!("{:?}", script.follow(register(registry, &wanted()))),
        "look_up" => format!("{:?}", script.follow(look_up(registry, &wanted()))),
        "enter" => format!("{:?}", script.follow(enter(registry, place()))),
        "has_stage" => format!("{:?}", script.follow(has_stage(registry, place()))),
        _ => panic!("unknown verb: {verb}"),
    }
}
