//! Who is told of which host events.
//!
//! Subscriptions have a number. The handle and the identifier that lash-core
//! knows them by are made from it here, and nowhere else.

use std::path::Path;

use lash_core::{
    PluginError, ProcessOriginator, TriggerSubscriptionDraft, TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
};
use lash_store_engine::wit::host_events::{Subscription, SubscriptionDraft, SubscriptionFilter};

use super::SqliteHostEventStore;
use crate::encoding::{decode_shared, from_json, to_json};
use crate::error::Error;

const SUBSCRIPTION: &str = "the subscription";

/// What a handle begins with.
const HANDLE: &str = "trigger:";

/// What the identifier of a subscription begins with.
const SUBSCRIPTION_ID: &str = "subscription:";

/// The number in a handle; none if it is no handle of ours.
pub(crate) fn handle_sequence(handle: &str) -> Option<u64> {
    sequence(handle, HANDLE)
}

/// The number in the identifier of a subscription; none if it is none of ours.
pub(crate) fn subscription_sequence(subscription_id: &str) -> Option<u64> {
    sequence(subscription_id, SUBSCRIPTION_ID)
}

/// The number behind a prefix, if it is written as we write it.
fn sequence(text: &str, prefix: &str) -> Option<u64> {
    let digits = text.strip_prefix(prefix)?;
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

pub(crate) fn to_subscription_draft(
    path: &Path,
    draft: TriggerSubscriptionDraft,
) -> Result<SubscriptionDraft, Error> {
    let content = to_json(
        path,
        SUBSCRIPTION,
        draft.name.as_deref().unwrap_or_default(),
        &draft,
    )?;
    Ok(SubscriptionDraft {
        scope_id: draft.registrant.scope_id(),
        session_id: match draft.registrant {
            ProcessOriginator::Host => None,
            ProcessOriginator::Session { scope } => Some(scope.session_id),
        },
        name: draft.name,
        source_type: draft.source_type,
        source_key: draft.source_key,
        content,
    })
}

pub(crate) fn from_subscription(
    path: &Path,
    subscription: &Subscription,
) -> Result<TriggerSubscriptionRecord, Error> {
    let handle = format!("{HANDLE}{}", subscription.sequence);
    let draft: TriggerSubscriptionDraft =
        from_json(path, SUBSCRIPTION, &handle, &subscription.content)?;
    Ok(TriggerSubscriptionRecord {
        subscription_id: format!("{SUBSCRIPTION_ID}{}", subscription.sequence),
        registrant: draft.registrant,
        env_ref: draft.env_ref,
        wake_target: draft.wake_target,
        handle,
        name: draft.name,
        source_type: draft.source_type,
        source_key: draft.source_key,
        source: draft.source,
        event_ty: draft.event_ty,
        module_ref: draft.module_ref,
        required_surface_ref: draft.required_surface_ref,
        process_ref: draft.process_ref,
        process_name: draft.process_name,
        input_template: draft.input_template,
        enabled: subscription.enabled,
        created_at_ms: subscription.created_at_ms,
        updated_at_ms: subscription.updated_at_ms,
    })
}

/// What the component can look for; none if nothing can agree. The target is not
/// among it: see [`TriggerSubscriptionFilter::matches`].
pub(crate) fn to_filter(filter: &TriggerSubscriptionFilter) -> Option<SubscriptionFilter> {
    let sequence = match filter.handle.as_deref() {
        Some(handle) => Some(handle_sequence(handle)?),
        None => None,
    };
    Some(SubscriptionFilter {
        session_id: filter.session_id.clone(),
        sequence,
        name: filter.name.clone(),
        source_type: filter.source_type.clone(),
        source_key: filter.source_key.clone(),
        enabled: filter.enabled,
    })
}

impl SqliteHostEventStore {
    pub(super) async fn subscribe(
        &self,
        draft: TriggerSubscriptionDraft,
    ) -> Result<TriggerSubscriptionRecord, PluginError> {
        let draft = to_subscription_draft(self.path(), draft)?;
        Ok(self
            .db
            .write("register subscription", move |call| {
                let subscription = call.host_events().subscribe(&draft)?;
                from_subscription(call.path(), &subscription)
            })
            .await?)
    }

    pub(super) async fn subscriptions(
        &self,
        filter: TriggerSubscriptionFilter,
    ) -> Result<Vec<TriggerSubscriptionRecord>, PluginError> {
        let Some(wanted) = to_filter(&filter) else {
            return Ok(Vec::new());
        };
        Ok(self
            .db
            .read("list subscriptions", move |call| {
                let found = call.host_events().subscriptions(&wanted)?;
                let path = call.path();
                let mut records = decode_shared(&found, |_, subscription| {
                    from_subscription(path, subscription)
                })?;
                records.retain(|record| filter.matches(record));
                Ok(records)
            })
            .await?)
    }

    pub(super) async fn unsubscribe(
        &self,
        session_id: &str,
        handle: &str,
    ) -> Result<bool, PluginError> {
        let Some(sequence) = handle_sequence(handle) else {
            return Ok(false);
        };
        let session_id = session_id.to_owned();
        Ok(self
            .db
            .write("cancel subscription", move |call| {
                call.of_session(&session_id);
                Ok(call.host_events().unsubscribe(&session_id, sequence)?)
            })
            .await?)
    }

    pub(super) async fn remove_session(&self, session_id: &str) -> Result<usize, PluginError> {
        let session_id = session_id.to_owned();
        let removed = self
            .db
            .write("delete session subscriptions", move |call| {
                call.of_session(&session_id);
                Ok(call.host_events().remove_session(&session_id)?)
            })
            .await?;
        Ok(usize::try_from(removed).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_a_number_written_in_one_way() {
        assert_eq!(handle_sequence("trigger:1"), Some(1));
        assert_eq!(
            handle_sequence("trigger:18446744073709551615"),
            Some(u64::MAX)
        );
        for other in [
            "",
            "1",
            "trigger:",
            "trigger:01",
            "trigger:+1",
            "trigger: 1",
            "trigger:-1",
            "Trigger:1",
            "subscription:1",
            "trigger:1 ",
            "trigger:18446744073709551616",
        ] {
            assert_eq!(handle_sequence(other), None, "{other}");
        }
    }
}
