//! Host events.

mod model;
mod occurrences;
mod open;
mod recovery;
mod retention;
mod subscriptions;

use lash_core::{PluginError, TriggerSubscriptionFilter};

fn everything() -> TriggerSubscriptionFilter {
    TriggerSubscriptionFilter::default()
}

fn message<T: std::fmt::Debug>(result: Result<T, PluginError>) -> String {
    result.unwrap_err().to_string()
}
