//! The components are what their sources say: with no capability but those of the
//! world, and with all of its exports. The one that is committed was built from them.
//!
//! For that its digest is read; no WebAssembly target is needed. That the bytes
//! are what the sources build is checked by `cargo xtask component --check`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use wit_parser::Resolve;
use xtask::build::built;
use xtask::surface::{self, Surface};
use xtask::{
    Artifact, COMMITTED, CONFORMANCE, NOTES, PROBE, PROFILE, SNOOP, STORE, TOOLS, sources,
};

#[test]
fn the_components_are_built_from_the_current_sources() {
    for artifact in COMMITTED {
        let recorded = std::fs::read_to_string(workspace().join(artifact.digest))
            .expect("the digest of the sources is next to the component");
        let current =
            sources::digest(&workspace(), artifact, PROFILE).expect("the sources can be read");
        assert_eq!(
            recorded.trim(),
            current,
            "the sources changed since {} was built, or it was built with --fast; \
             run `cargo xtask component {}`",
            artifact.component,
            artifact.name,
        );
    }
}

#[test]
fn the_components_can_reach_the_database_the_clock_and_random_numbers_only() {
    for artifact in COMMITTED {
        let mut imports = committed(artifact).imports;
        // They hold types, no functions, and are there only because exports use them.
        imports.retain(|import| import != "lash:store/types@0.1.0" && !import.contains("-types@"));
        let allowed = [
            "lash:store/sqlite@0.1.0",
            "wasi:clocks/wall-clock@0.2.0",
            "wasi:random/random@0.2.0",
        ];
        assert!(
            imports.is_subset(&BTreeSet::from(allowed.map(String::from))),
            "{}: {imports:?}",
            artifact.component
        );
    }
}

#[test]
fn the_components_export_the_interfaces_of_their_worlds() {
    for (artifact, world) in [(&STORE, "store"), (&TOOLS, "tools")] {
        let expected = exports_of(world);
        assert!(!expected.is_empty(), "the world {world} exports nothing");
        assert_eq!(committed(artifact).exports, expected);
    }
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn the_conformance_component_needs_what_the_store_needs_and_a_second_connection() {
    let surface = surface::read(&built(&CONFORMANCE).unwrap()).expect("it is a component");
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
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn a_plugin_imports_what_it_uses_and_exports_its_entry() {
    let database = ["session-types", "sqlite", "types"];
    for (artifact, interfaces) in [
        (&NOTES, &["artifacts"][..]),
        (&SNOOP, &["artifacts", "blobs", "queue"]),
        (&PROBE, &["artifacts", "blobs", "queue", "session"]),
    ] {
        let surface = surface::read(&built(artifact).unwrap()).expect("it is a component");
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

/// The interfaces that a world exports.
fn exports_of(world: &str) -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(workspace().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let exports = resolve.worlds[world].exports.keys();
    exports.map(|key| resolve.name_world_key(key)).collect()
}

/// The surface of a component that is committed.
fn committed(artifact: &Artifact) -> Surface {
    let component =
        std::fs::read(workspace().join(artifact.component)).expect("the component can be read");
    surface::read(&component).expect("it is a component")
}

fn workspace() -> PathBuf {
    xtask::workspace_root().expect("the workspace is where the tests were compiled")
}
