//! The tables of the database of host events.

use super::Schema;
use crate::bindings::exports::lash::store::format::Kind;

pub(crate) const SCHEMA: Schema = Schema {
    kind: Kind::HostEvents,
    // "LSSH"
    application_id: 0x4c53_5348,
    version: 1,
    statements: STATEMENTS,
};

const STATEMENTS: &[&str] = &[];
