//! The rules, by what they are about.

mod errors;
mod limits;
mod statements;
mod transactions;
mod values;
mod world;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::bindings::exports::lash::store::conformance::{Rule, Step};
use crate::bindings::lash::store::sqlite::Database;

/// What a step returns: the error says what was wrong.
type Outcome = Result<(), String>;

/// One rule and how it is checked.
pub(crate) struct Check {
    name: &'static str,
    statement: &'static str,
    steps: &'static [Run],
}

/// One step.
enum Run {
    /// Calls the function.
    Plain(fn(&Database) -> Outcome),
    /// The same, after the file was closed and opened again.
    Reopened(fn(&Database) -> Outcome),
    /// Calls the function and traps, unless it fails.
    Trapping(fn(&Database) -> Outcome),
}

impl Check {
    pub(crate) fn describe(&self) -> Rule {
        Rule {
            name: self.name.to_owned(),
            statement: self.statement.to_owned(),
            steps: self.steps.iter().map(Run::describe).collect(),
        }
    }
}

impl Run {
    fn describe(&self) -> Step {
        Step {
            reopen: matches!(self, Self::Reopened(_)),
            traps: matches!(self, Self::Trapping(_)),
        }
    }

    fn run(&self, db: &Database) -> Outcome {
        match self {
            Self::Plain(step) | Self::Reopened(step) => step(db),
            Self::Trapping(step) => {
                step(db)?;
                lash_component_runtime::trap()
            }
        }
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        transactions::CHECKS,
        errors::CHECKS,
        statements::CHECKS,
        values::CHECKS,
        limits::CHECKS,
        world::CHECKS,
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn check(db: &Database, rule: &str, step: u32) -> Outcome {
    let check = all()
        .find(|check| check.name == rule)
        .ok_or_else(|| format!("there is no rule {rule:?}"))?;
    usize::try_from(step)
        .ok()
        .and_then(|step| check.steps.get(step))
        .ok_or_else(|| format!("{rule} has no step {step}"))?
        .run(db)
}
