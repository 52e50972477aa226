//! What an engine did in a scenario.

use serde::{Deserialize, Serialize};

/// What an engine did when a defect was provoked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// Whether that is the defect.
    pub(crate) is_defect: bool,
    /// In a few words.
    pub(crate) text: String,
}

impl Observation {
    /// It did what is wrong.
    pub(crate) fn defect(text: impl Into<String>) -> Self {
        Self {
            is_defect: true,
            text: text.into(),
        }
    }

    /// It did what is right.
    pub(crate) fn right(text: impl Into<String>) -> Self {
        Self {
            is_defect: false,
            text: text.into(),
        }
    }
}
