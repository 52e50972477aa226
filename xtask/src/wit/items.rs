//! Whether every item of a package is documented, and says since when it is there.

use wit_parser::{
    Docs, Function, InterfaceId, PackageId, Resolve, Stability, TypeDef, TypeDefKind, TypeId,
    TypeOwner,
};

/// What is missing, as one line for each item.
pub(super) fn faults(resolve: &Resolve, package: PackageId) -> Vec<String> {
    let mut faults = Faults::default();
    let package = &resolve.packages[package];
    faults.docs(package.name.to_string(), &package.docs);
    for (name, &id) in &package.worlds {
        let world = &resolve.worlds[id];
        faults.item(format!("world {name}"), &world.docs, &world.stability);
    }
    for (name, &id) in &package.interfaces {
        interface(&mut faults, resolve, name, id);
    }
    faults.0
}

fn interface(faults: &mut Faults, resolve: &Resolve, name: &str, id: InterfaceId) {
    let interface = &resolve.interfaces[id];
    faults.item(
        format!("interface {name}"),
        &interface.docs,
        &interface.stability,
    );
    for (ty, &ty_id) in &interface.types {
        let definition = &resolve.types[ty_id];
        if is_use(resolve, id, definition) {
            continue;
        }
        let path = format!("{name}.{ty}");
        faults.item(path.clone(), &definition.docs, &definition.stability);
        parts(faults, &path, definition);
    }
    for function in interface.functions.values() {
        let Function {
            name: function,
            docs,
            stability,
            ..
        } = function;
        faults.item(format!("{name}.{function}"), docs, stability);
    }
}

/// The fields and cases of a type, which cannot say since when they are there.
fn parts(faults: &mut Faults, path: &str, definition: &TypeDef) {
    let mut part = |name: &str, docs: &Docs| faults.docs(format!("{path}.{name}"), docs);
    match &definition.kind {
        TypeDefKind::Record(record) => record
            .fields
            .iter()
            .for_each(|field| part(&field.name, &field.docs)),
        TypeDefKind::Variant(variant) => variant
            .cases
            .iter()
            .for_each(|case| part(&case.name, &case.docs)),
        TypeDefKind::Enum(cases) => cases
            .cases
            .iter()
            .for_each(|case| part(&case.name, &case.docs)),
        TypeDefKind::Flags(flags) => flags
            .flags
            .iter()
            .for_each(|flag| part(&flag.name, &flag.docs)),
        _ => {}
    }
}

/// Whether a type is there by `use` from another interface, where it is defined.
fn is_use(resolve: &Resolve, interface: InterfaceId, definition: &TypeDef) -> bool {
    let defined: Option<&TypeId> = match &definition.kind {
        TypeDefKind::Type(wit_parser::Type::Id(id)) => Some(id),
        _ => None,
    };
    defined.is_some_and(|id| match resolve.types[*id].owner {
        TypeOwner::Interface(owner) => owner != interface,
        TypeOwner::World(_) | TypeOwner::None => false,
    })
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn docs(&mut self, item: String, docs: &Docs) {
        if docs
            .contents
            .as_deref()
            .is_none_or(|text| text.trim().is_empty())
        {
            self.0.push(format!("{item} has no comment"));
        }
    }

    fn item(&mut self, item: String, docs: &Docs, stability: &Stability) {
        if !matches!(stability, Stability::Stable { .. }) {
            self.0.push(format!("{item} has no @since"));
        }
        self.docs(item, docs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "/// Package.
        package a:b@0.1.0;
        /// Interface.
        @since(version = 0.1.0)
        interface i {
            use j.{x as y};
            /// Record.
            @since(version = 0.1.0)
            record r {
                /// Field.
                f: u8,
            }
            /// Variant.
            @since(version = 0.1.0)
            variant v {
                /// Case.
                c(y),
            }
            /// Enum.
            @since(version = 0.1.0)
            enum e {
                /// One.
                one,
            }
            /// Resource.
            @since(version = 0.1.0)
            resource s {
                /// Method.
                @since(version = 0.1.0)
                m: func();
            }
            /// Function.
            @since(version = 0.1.0)
            g: func();
        }
        /// Other.
        @since(version = 0.1.0)
        interface j {
            /// Alias.
            @since(version = 0.1.0)
            type x = u8;
        }
        /// World.
        @since(version = 0.1.0)
        world w {
            export i;
        }";

    fn faults_of(text: &str) -> Vec<String> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("a.wit", text).unwrap();
        faults(&resolve, package)
    }

    #[test]
    fn a_whole_package_has_no_faults() {
        assert!(faults_of(WHOLE).is_empty(), "{:?}", faults_of(WHOLE));
    }

    #[test]
    fn every_comment_is_needed() {
        for (comment, item) in [
            ("Package", "a:b@0.1.0"),
            ("Interface", "interface i"),
            ("Record", "i.r"),
            ("Field", "i.r.f"),
            ("Variant", "i.v"),
            ("Case", "i.v.c"),
            ("Enum", "i.e"),
            ("One", "i.e.one"),
            ("Resource", "i.s"),
            ("Method", "i.[method]s.m"),
            ("Function", "i.g"),
            ("Alias", "j.x"),
            ("World", "world w"),
        ] {
            let without = WHOLE.replace(&format!("/// {comment}."), "");
            assert_eq!(faults_of(&without), [format!("{item} has no comment")]);
        }
    }

    #[test]
    fn every_since_is_needed() {
        let since = "@since(version = 0.1.0)";
        for (position, _) in WHOLE.match_indices(since) {
            let mut without = WHOLE.to_owned();
            without.replace_range(position..position + since.len(), "");
            let found = faults_of(&without);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].ends_with("has no @since"), "{found:?}");
        }
    }
}
