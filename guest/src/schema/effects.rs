//! The tables of the database of effects.

use super::Schema;
use crate::bindings::exports::lash::store::format::Kind;

pub(crate) const SCHEMA: Schema = Schema {
    kind: Kind::Effects,
    // "LSSE"
    application_id: 0x4c53_5345,
    version: 1,
    statements: STATEMENTS,
};

const STATEMENTS: &[&str] = &[];
