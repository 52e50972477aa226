//! The example `agent`, which checks what it shows: a session that goes on after
//! everything was closed, and turns that are taken up after their process was
//! killed, without executing again what was recorded.

use std::path::PathBuf;
use std::process::Command;

/// Cargo builds the examples of a package with its tests, beside them.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(|deps| deps.parent()).unwrap();
    built.join(format!("examples/agent{}", std::env::consts::EXE_SUFFIX))
}

#[test]
fn an_agent_survives_being_closed_and_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let example = example();
    assert!(
        example.exists(),
        "{} is not built: cargo build -p lash-wasm-store-tests --example agent",
        example.display()
    );
    let output = Command::new(example)
        .arg(directory.path())
        .output()
        .unwrap();
    let account = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{account}\n{errors}");
    for kill in 1..=7 {
        assert!(account.contains(&format!("kill {kill}")), "{account}");
    }
    assert!(account.contains("turn 5"), "{account}");
}
