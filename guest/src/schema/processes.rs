//! The tables of the database of processes.

use super::Schema;
use crate::bindings::exports::lash::store::format::Kind;

pub(crate) const SCHEMA: Schema = Schema {
    kind: Kind::Processes,
    // "LSSP"
    application_id: 0x4c53_5350,
    version: 1,
    statements: STATEMENTS,
};

const STATEMENTS: &[&str] = &[];
