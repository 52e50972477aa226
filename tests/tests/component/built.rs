//! The components are what the sources beside them say: built from them,
//! with no capability but those of the world, and with all of its exports.
//!
//! These tests read files only; no WebAssembly target is needed. That the bytes
//! are what the sources build is checked by `cargo xtask component --check`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use xtask::{ARTIFACTS, Artifact, CONFORMANCE, NOTES, PROBE, SNOOP, STORE, sources, surface};

#[test]
fn the_components_are_built_from_the_current_sources() {
    for artifact in ARTIFACTS {
        let recorded = std::fs::read_to_string(workspace().join(artifact.digest))
            .expect("the digest of the sources is beside the component");
        let current = sources::digest(&workspace(), artifact).expect("the sources can be read");
        assert_eq!(
            recorded.trim(),
            current,
            "the sources changed since {} was built; run `cargo xtask component`",
            artifact.component,
        );
    }
}

#[test]
fn the_component_can_reach_the_database_the_clock_and_random_numbers_only() {
    let mut imports = surface(&STORE).imports;
    // It holds types, no functions, and is there only because exports use them.
    imports.remove("lash:store/types@0.1.0");
    let allowed = [
        "lash:store/sqlite@0.1.0",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:random/random@0.2.0",
    ];
    assert_eq!(imports, BTreeSet::from(allowed.map(String::from)));
}

#[test]
fn the_component_exports_the_interfaces_of_its_world() {
    let world =
        std::fs::read_to_string(workspace().join("wit/world.wit")).expect("the world can be read");
    let package = world
        .lines()
        .find_map(|line| statement(line, "package"))
        .expect("the world names its package");
    let (name, version) = package.split_once('@').expect("the package has a version");
    let expected: BTreeSet<String> = world
        .lines()
        .filter_map(|line| statement(line, "export"))
        .map(|interface| format!("{name}/{interface}@{version}"))
        .collect();

    assert!(!expected.is_empty(), "the world exports nothing");
    assert_eq!(surface(&STORE).exports, expected);
}

#[test]
fn the_conformance_component_needs_what_the_store_needs_and_a_second_connection() {
    let surface = surface(&CONFORMANCE);
    let imports = [
        "lash:store/second-connection@0.1.0",
        "lash:store/sqlite@0.1.0",
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:random/random@0.2.0",
    ];
    assert_eq!(surface.imports, BTreeSet::from(imports.map(String::from)));
    let exports = ["lash:store/conformance@0.1.0".to_owned()];
    assert_eq!(surface.exports, BTreeSet::from(exports));
}

/// What they import of `sqlite` is the type of their first argument; that they import no
/// function is checked when they are loaded.
#[test]
fn a_plugin_imports_what_it_uses_and_exports_its_entry() {
    let database = ["sqlite", "types"];
    for (artifact, interfaces) in [
        (&NOTES, &["artifacts"][..]),
        (&SNOOP, &["artifacts", "blobs", "queue"]),
        (
            &PROBE,
            &["artifacts", "blobs", "checkpoints", "queue", "session"],
        ),
    ] {
        let surface = surface(artifact);
        let imports = surface
            .imports
            .iter()
            .filter(|import| !import.starts_with("wasi:"));
        let expected = database.iter().chain(interfaces);
        let expected: BTreeSet<String> = expected
            .map(|interface| format!("lash:store/{interface}@0.1.0"))
            .collect();
        assert!(imports.eq(&expected), "{}", artifact.component);
        let exports = ["lash:store/plugin-entry@0.1.0".to_owned()];
        assert_eq!(surface.exports, BTreeSet::from(exports));
    }
}

/// What follows a keyword in a line of WIT.
fn statement(line: &str, keyword: &str) -> Option<String> {
    let rest = line.trim().strip_prefix(keyword)?.strip_prefix(' ')?;
    Some(rest.strip_suffix(';')?.to_owned())
}

fn surface(artifact: &Artifact) -> surface::Surface {
    let component =
        std::fs::read(workspace().join(artifact.component)).expect("the component can be read");
    surface::read(&component).expect("it is a component")
}

fn workspace() -> PathBuf {
    xtask::workspace_root().expect("the workspace is where the tests were compiled")
}
