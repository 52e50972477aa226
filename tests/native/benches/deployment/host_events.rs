//! Subscriptions, 10,000 of them, of 100 sessions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lash_core::{
    HostEventStore, ProcessExecutionEnvRef, ProcessOriginator, SessionScope,
    TriggerSubscriptionDraft, TriggerSubscriptionFilter,
};
use lashlang::{
    ContentHash, ModuleRef, ProcessRef, RequiredSurfaceRef, TriggerInputBinding,
    TriggerInputTemplate, TypeExpr, TypeField,
};
use serde_json::json;

use crate::engines::Setup;
use crate::report::Report;
use crate::{interleave, names};

const SESSIONS: usize = 100;
const OF_EACH: usize = 100;

fn draft(session: usize, number: usize) -> TriggerSubscriptionDraft {
    let scope = SessionScope::new(format!("session-{session}"));
    TriggerSubscriptionDraft {
        registrant: ProcessOriginator::session(scope.clone()),
        env_ref: ProcessExecutionEnvRef::new("process-env:bench"),
        wake_target: Some(scope),
        name: Some(format!("button {number}")),
        source_type: "ui.button.pressed".to_owned(),
        source_key: format!("button:{session}:{number}"),
        source: json!({ "button": number }),
        event_ty: TypeExpr::Object(vec![TypeField {
            name: "button".into(),
            ty: TypeExpr::Str,
            optional: false,
        }]),
        module_ref: ModuleRef::new(&ContentHash::new("module")),
        required_surface_ref: RequiredSurfaceRef::new(&ContentHash::new("surface")),
        process_ref: ProcessRef::new(ContentHash::new("process"), 1),
        process_name: "on_press".to_owned(),
        input_template: TriggerInputTemplate::new(BTreeMap::from([(
            "event".to_owned(),
            TriggerInputBinding::Event,
        )])),
    }
}

async fn open(directory: &Path) -> Vec<Arc<dyn HostEventStore>> {
    let mut engines = Vec::new();
    for setup in Setup::ALL {
        let store = setup.host_events(directory).await;
        for number in 0..OF_EACH {
            for session in 0..SESSIONS {
                store
                    .register_subscription(draft(session, number))
                    .await
                    .unwrap();
            }
        }
        engines.push(store);
    }
    engines
}

/// All of them.
pub(crate) async fn list_all(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let mut engines = open(directory.path()).await;
    let samples = interleave(&mut engines, 20, async |store, _| {
        let filter = TriggerSubscriptionFilter::default();
        let found = store.list_subscriptions(filter).await.unwrap();
        assert_eq!(found.len(), SESSIONS * OF_EACH);
    })
    .await;
    report.add("list-10000", &names(), samples);
}

/// Those of one session.
pub(crate) async fn list_session(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let mut engines = open(directory.path()).await;
    let samples = interleave(&mut engines, SESSIONS, async |store, turn| {
        let filter = TriggerSubscriptionFilter::for_session(format!("session-{turn}"));
        let found = store.list_subscriptions(filter).await.unwrap();
        assert_eq!(found.len(), OF_EACH);
    })
    .await;
    report.add("list-session", &names(), samples);
}

/// Those of one session, while there are those of 50 others at least.
pub(crate) async fn delete_session(report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    let mut engines = open(directory.path()).await;
    let samples = interleave(&mut engines, SESSIONS / 2, async |store, turn| {
        let session = format!("session-{turn}");
        let deleted = store.delete_session_subscriptions(&session).await.unwrap();
        assert_eq!(deleted, OF_EACH);
    })
    .await;
    report.add("delete-session", &names(), samples);
}
