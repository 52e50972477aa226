//! What the user of a database may choose.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::component::StoreComponent;
use crate::sqlite::Settings;

/// Tells the time. Injectable, so that leases can be tested without waiting.
pub(crate) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What a committed turn survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The loss of power: a commit of a turn or of an effect's result waits until
    /// it is on the disk. Leases and claims do not wait.
    #[default]
    Full,
    /// The crash of the process, but not the loss of power, which may undo the
    /// last commits. The database stays consistent, and commits are faster.
    Normal,
}

/// How to open a database.
#[derive(Clone)]
pub(crate) struct OpenOptions {
    pub(crate) durability: Durability,
    pub(crate) clock: Clock,
    pub(crate) busy_timeout: Duration,
    pub(crate) component: StoreComponent,
}

// The clock may be anything, but nothing is left half done when it panics: a thread of
// the pool rolls back and makes a new instance, and elsewhere the time is read first.
impl UnwindSafe for OpenOptions {}
impl RefUnwindSafe for OpenOptions {}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            clock: Arc::new(SystemTime::now),
            busy_timeout: Settings::default().busy_timeout,
            component: StoreComponent::embedded(),
        }
    }
}

impl OpenOptions {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            busy_timeout: self.busy_timeout,
            durable: self.durability == Durability::Full,
            limits: self.component.limits().copied(),
            ..Settings::default()
        }
    }
}
