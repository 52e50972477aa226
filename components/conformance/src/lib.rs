//! Checks an embedder's implementation of the imports of the store's component.
//!
//! The specification is `wit/conformance.wit`: the component says which rules
//! there are and checks them step by step, a driver of the embedder's calls it.
//! Every rule is a sentence of `wit/sqlite.wit`, and every check is an
//! observation: of the answer, or through the driver's second connection to the
//! same file. What cannot be observed from inside (that a commit survives the loss
//! of power, how long a lock is waited for, the cases `full`, `corrupt`,
//! `not-a-database`, `too-big`, `interrupted` and `io`) has no rule.
#![no_std]

extern crate alloc;

lash_component_runtime::link!();

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
mod bindings;
mod expect;
mod rules;

use alloc::string::String;
use alloc::vec::Vec;

use bindings::exports::lash::store::conformance::{Guest, Rule};
use bindings::lash::store::sqlite::Database;

struct Component;

bindings::export!(Component with_types_in bindings);

impl Guest for Component {
    fn rules() -> Vec<Rule> {
        rules::all().map(rules::Check::describe).collect()
    }

    fn check(db: &Database, rule: String, step: u32) -> Result<(), String> {
        rules::check(db, &rule, step)
    }
}
