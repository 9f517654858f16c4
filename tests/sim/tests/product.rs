//! What is shipped holds no mutants.

use std::process::Command;

/// The packages that become what is shipped.
const SHIPPED: &[&str] = &["drift", "hook", "object", "refit", "tick"];

/// The features of `refit-core` in a build of these packages.
fn features(package: &str) -> String {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace)
        .args(["tree", "--offline", "--locked", "-e", "normal,build,features", "-i", "refit-core"])
        .args(["-p", package])
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("refit-core"), "{package} is built on the core:\n{text}");
    text
}

#[test]
fn mutants_are_in_no_binary_that_is_shipped() {
    for package in SHIPPED {
        let tree = features(package);
        assert!(!tree.contains("mutants"), "{package}:\n{tree}");
    }
    assert!(features("refit-sim").contains("mutants"), "the simulation has them");
}
