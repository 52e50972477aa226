//! The two crates, and the scenarios compiled against each.
//!
//! `native` and `ours` re-export a crate under the name `engine`, with what depends
//! on its tables: ways to damage them. The modules below `scenarios` use
//! `super::engine` and know nothing else of the crate that they run on.

mod native;
mod ours;

use anyhow::{Result, bail};

use crate::scenario::Scenario;

/// A crate that the scenarios run on.
#[derive(Clone, Copy)]
pub(crate) enum Engine {
    Native,
    Ours,
}

impl Engine {
    pub(crate) fn named(name: &str) -> Result<Self> {
        match name {
            "native" => Ok(Self::Native),
            "ours" => Ok(Self::Ours),
            _ => bail!("there is no engine {name}"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ours => "ours",
        }
    }

    /// The scenarios, compiled against this crate.
    pub(crate) fn scenarios(self) -> Vec<Scenario> {
        match self {
            Self::Native => native::scenarios::all(),
            Self::Ours => ours::scenarios::all(),
        }
    }
}
