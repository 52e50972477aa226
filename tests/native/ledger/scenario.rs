//! What a scenario is.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use anyhow::Result;

use crate::observation::Observation;

/// Runs in a directory of its own; an error means that the scenario itself failed.
pub(crate) type Run = fn(PathBuf) -> Pin<Box<dyn Future<Output = Result<Observation>>>>;

/// One defect, provoked.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Its identifier in the contract.
    pub(crate) id: &'static str,
    /// What is wrong, in one line.
    pub(crate) title: &'static str,
    /// Why the native crate does not show it, where that is so.
    pub(crate) not_confirmed: Option<&'static str>,
    /// Provokes it.
    pub(crate) run: Run,
}

impl Scenario {
    /// A defect that the native crate shows.
    pub(crate) const fn new(id: &'static str, title: &'static str, run: Run) -> Self {
        Self {
            id,
            title,
            not_confirmed: None,
            run,
        }
    }

    /// A defect that was claimed of the native crate, but which it does not show, for
    /// this reason.
    #[expect(dead_code, reason = "every claim was confirmed so far")]
    pub(crate) const fn not_confirmed(self, reason: &'static str) -> Self {
        Self {
            not_confirmed: Some(reason),
            ..self
        }
    }
}
