//! What the specification says of the SQL that a host must know.

use std::collections::BTreeSet;
use std::path::Path;

/// The functions that `wit/sqlite.wit` names.
pub fn named_functions() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/sqlite.wit");
    let text = std::fs::read_to_string(path).expect("the specification");
    let (_, rest) = text.split_once("of the functions").expect("the sentence");
    let (list, _) = rest.split_once('.').expect("its end");
    let quoted = list.split('`').skip(1).step_by(2);
    let names: BTreeSet<String> = quoted.map(str::to_owned).collect();
    assert!(!names.is_empty(), "{list}");
    names
}
