//! Which functions the WIT exports, and that the tables have them all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wit_parser::{
    Handle, Resolve, SourceMap, Type, TypeDefKind, UnresolvedPackageGroup, WorldItem,
};

/// The package of which the files are in a folder.
fn package(folder: &Path) -> UnresolvedPackageGroup {
    let mut sources = SourceMap::default();
    for path in entries(folder) {
        if path.is_file() {
            let text = std::fs::read_to_string(&path).expect("WIT");
            sources.push_str(&path.display().to_string(), text);
        }
    }
    sources
        .parse()
        .map_err(|(_, error)| error)
        .expect("a package")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// Every exported function that is given a database, as `interface.function`.
fn exported() -> BTreeSet<String> {
    let mut resolve = Resolve::new();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let dependencies = entries(&wit.join("deps"));
    let dependencies = dependencies.iter().map(|folder| package(folder));
    let package = resolve
        .push_groups(package(&wit), dependencies.collect())
        .expect("the WIT");
    let worlds = ["store", "tools"].map(|world| {
        let world = resolve.select_world(&[package], Some(world));
        &resolve.worlds[world.expect("the world")]
    });
    let mut functions = BTreeSet::new();
    for export in worlds.iter().flat_map(|world| world.exports.values()) {
        let WorldItem::Interface { id, .. } = export else {
            panic!("only interfaces are exported: {export:?}");
        };
        let interface = &resolve.interfaces[*id];
        let name = interface.name.as_deref().expect("a name");
        for function in interface.functions.values() {
            if function
                .params
                .iter()
                .any(|param| is_database(&resolve, param.ty))
            {
                functions.insert(format!("{name}.{}", function.name));
            }
        }
    }
    functions
}

/// Whether a type is `borrow<database>`.
fn is_database(resolve: &Resolve, ty: Type) -> bool {
    let Type::Id(id) = ty else { return false };
    match resolve.types[id].kind {
        TypeDefKind::Handle(Handle::Borrow(resource)) => {
            resolve.types[resource].name.as_deref() == Some("database")
        }
        _ => false,
    }
}

/// Fails by name for a function without an operation, and for an operation without
/// a function.
pub fn assert_covered(swept: &BTreeSet<String>) {
    let exported = exported();
    assert!(!exported.is_empty());
    let missing: Vec<&String> = exported.difference(swept).collect();
    assert!(missing.is_empty(), "never interrupted: {missing:?}");
    let unknown: Vec<&String> = swept.difference(&exported).collect();
    assert!(unknown.is_empty(), "not exported: {unknown:?}");
}
