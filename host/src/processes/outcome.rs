//! What lash-core is told. Its users match on these texts.

use lash_core::PluginError;

pub(super) fn conflict(process_id: &str, existing: &str, new: &str) -> PluginError {
    PluginError::Session(format!(
        "process `{process_id}` registration hash conflict: existing {existing}, new {new}"
    ))
}

pub(super) fn not_granted(process_id: &str, session_id: &str) -> PluginError {
    PluginError::Session(format!(
        "process handle `{process_id}` is not granted to session `{session_id}`"
    ))
}

pub(super) fn ended(process_id: &str) -> PluginError {
    PluginError::Session(format!(
        "terminal process `{process_id}` cannot enter a wait state"
    ))
}

pub(super) fn leased(process_id: &str, owner_id: &str, until_ms: u64) -> PluginError {
    PluginError::Session(format!(
        "process `{process_id}` is already leased by `{owner_id}` until {until_ms}"
    ))
}

pub(super) fn lease_lost(process_id: &str) -> PluginError {
    PluginError::Session(format!(
        "process lease for `{process_id}` is missing or expired"
    ))
}
