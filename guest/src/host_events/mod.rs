//! Events of the host that start processes.
//!
//! An occurrence is recorded once, whoever reports it how often. What it is to
//! start is reserved in one transaction, for the subscriptions that were there
//! when it occurred, and stays on a list until somebody says that it was started:
//! starting is somebody else's, and may fail or be cut short. What occurred
//! before a subscription is never delivered to it.

mod delivery_row;
pub(crate) mod digests;
mod export;
mod import;
mod occurrence_row;
mod reserve;
mod retention;
mod schema;
mod settle;
mod statistics;
mod subscription_row;
mod subscriptions;
mod verify;

use crate::Result;
use crate::bindings::format_types::Initialized;
use crate::format;
use crate::host_events::digests::HostEventDigests;
use crate::storage::digests::Digests;
use crate::storage::seam::Environment;

pub use export::read_page;
pub use import::{add_deliveries, add_occurrences, add_subscriptions, skip_subscriptions};
pub use occurrence_row::record_occurrence;
pub use reserve::{reserve, unreserved};
pub use retention::prune;
pub use settle::{settle, unsettled};
pub use statistics::statistics;
pub use subscriptions::{remove_session, subscribe, subscriptions, unsubscribe};
pub use verify::{repair, verify};

/// The WIT function `host-events.initialize`.
pub fn initialize(env: &impl Environment) -> Result<Initialized> {
    format::initialize(env, &format::HOST_EVENTS, schema::STATEMENTS, |tx| {
        HostEventDigests::new().store(tx)
    })
}
