//! R15, R17: files of another kind, rows that are not what was written.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use lash_core::HostEventStore;
use lash_wasm_store_testing::fixtures::Raw;
use lash_wasm_store_testing::host_events::draft;

use super::engine::{BlobArtifactDescriptor, SqliteEffectHost, SqliteHostEventStore, Store};
use crate::observation::Observation;

pub(super) async fn another_kind(directory: PathBuf) -> Result<Observation> {
    let path = directory.join("host-events.db");
    let events = SqliteHostEventStore::open(&path).await?;
    events
        .register_subscription(draft("session", "key"))
        .await?;
    drop(events);
    let raw = Raw::open(&path);
    let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table'";
    let tables = raw.integer(count);

    let effects = SqliteEffectHost::open(&path).await.map(|_| ());
    let session = match Store::open_readonly(&path).await {
        Ok(session) => {
            ensure!(session.load_session_head().await.is_none());
            ensure!(session.load_session_graph().await.nodes.is_empty());
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    };
    let added = raw.integer(count) - tables;
    Ok(match (effects, session) {
        (Ok(()), Ok(())) => Observation::defect(format!(
            "{added} table is added to it for effects; as a session it is empty"
        )),
        (Err(error), Err(_)) if added == 0 => {
            let path = format!("{}/", directory.display());
            let error = error.to_string().replace(&path, "");
            Observation::right(format!("refused twice: {error}"))
        }
        other => bail!("{other:?}, {added} tables are added"),
    })
}

pub(super) async fn inflated(directory: PathBuf) -> Result<Observation> {
    const SMALL: usize = 8 << 10;
    const LARGE: usize = 16 << 20;
    let path = directory.join("session.db");
    let store = Store::open(&path).await?;
    let tools = BlobArtifactDescriptor::tool_state_snapshot;
    let small = store.put_artifact_blob(tools(), &vec![0; SMALL]).await;
    store.put_artifact_blob(tools(), &vec![0; LARGE]).await;
    let raw = Raw::open(&path);
    let stored = raw.integer("SELECT max(length(content)) FROM blobs");
    raw.damage(
        "UPDATE blobs SET content = (SELECT content FROM blobs ORDER BY length(content) DESC)
         WHERE length(content) < (SELECT max(length(content)) FROM blobs)",
    );
    Ok(match store.get_blob(&small).await {
        Some(content) if content.len() == LARGE => Observation::defect(format!(
            "{} KiB are answered for a row of {} KiB",
            LARGE >> 10,
            stored >> 10
        )),
        None => Observation::right("nothing is answered"),
        Some(content) => bail!("{} bytes", content.len()),
    })
}
