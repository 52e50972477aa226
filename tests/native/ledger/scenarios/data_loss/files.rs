//! Files that are deleted, and what is not on the disk yet.

use std::path::PathBuf;

use anyhow::Result;
use lash_core::{
    RuntimePersistence, SessionPolicy, SessionRelation, SessionStoreCreateRequest,
    SessionStoreFactory,
};
use lash_wasm_store_testing::fixtures::{SESSION, append, chain};

use super::engine::{SqliteSessionStoreFactory, Store};
use crate::observation::Observation;
use crate::scenario::Scenario;
use crate::sync;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "D14",
            "a session is deleted while a handle is open, which then commits",
            |directory| Box::pin(commit_into_a_deleted_session(directory)),
        ),
        Scenario::new(
            "D16",
            "a turn is committed, and the power fails",
            |directory| Box::pin(acknowledged_before_it_is_on_the_disk(directory)),
        ),
    ]
}

async fn commit_into_a_deleted_session(directory: PathBuf) -> Result<Observation> {
    let factory = SqliteSessionStoreFactory::new(directory);
    let request = SessionStoreCreateRequest {
        session_id: SESSION.to_owned(),
        relation: SessionRelation::Root,
        policy: SessionPolicy::default(),
    };
    let stale = factory
        .create_store(&request)
        .await
        .map_err(anyhow::Error::msg)?;
    factory
        .delete_session(SESSION)
        .await
        .map_err(anyhow::Error::msg)?;

    let committed = stale.commit_runtime_state(append(None, chain(0, 1))).await;
    let exists = factory.path_for_session(SESSION).exists();
    Ok(match committed {
        Ok(_) if !exists => Observation::defect("acknowledged; there is no file"),
        Err(_) => Observation::right("refused: the session was deleted"),
        Ok(_) => anyhow::bail!("the file is there"),
    })
}

async fn acknowledged_before_it_is_on_the_disk(directory: PathBuf) -> Result<Observation> {
    let store = Store::open(&directory.join("session.db")).await?;
    store
        .commit_runtime_state(append(None, chain(0, 1)))
        .await?;
    let before = sync::count();
    store
        .commit_runtime_state(append(Some(1), chain(1, 1)))
        .await?;
    Ok(match sync::count() - before {
        0 => Observation::defect("acknowledged without a sync of the log"),
        _ => Observation::right("acknowledged after a sync of the log"),
    })
}
