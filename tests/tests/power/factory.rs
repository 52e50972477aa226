//! Sessions that are created and deleted, in a directory that is made for them.

use std::path::Path;

use lash_core::{RuntimePersistence, SessionPolicy, SessionStoreCreateRequest};
use lash_wasm_store::{Durability, SqliteSessionStoreFactory};
use lash_wasm_store_testing::damage::wait_until_closed;
use lash_wasm_store_testing::fixtures::{SESSION, append, chain, meta};

use crate::proof::step;
use crate::state::{clock, contents, power};

power! {
    directory: super::directory, super::state;
    creation: super::creation, super::state;
    deletion: super::deletion, super::state;
}

/// Makes the directory, so that it survives.
fn make_directory(base: &Path) {
    std::fs::create_dir(base.join("sessions")).unwrap();
    std::fs::File::open(base).unwrap().sync_all().unwrap();
}

/// The directory is made by the factory.
async fn directory(base: &Path, durability: Durability) {
    create(base, durability).await;
}

async fn creation(base: &Path, durability: Durability) {
    make_directory(base);
    create(base, durability).await;
}

fn factory(base: &Path, durability: Durability) -> SqliteSessionStoreFactory {
    let builder = clock().builder().durability(durability);
    SqliteSessionStoreFactory::with_builder(base.join("sessions"), builder)
}

fn request(session_id: &str) -> SessionStoreCreateRequest {
    SessionStoreCreateRequest {
        session_id: session_id.to_owned(),
        relation: meta().relation,
        policy: SessionPolicy::default(),
    }
}

async fn state(base: &Path) -> Result<String, String> {
    let factory = factory(base, Durability::Full);
    let mut all = String::new();
    for session in [SESSION, "other"] {
        let opened = factory.try_open_existing_store(&request(session)).await;
        all += &match opened.map_err(|error| error.to_string())? {
            Some(store) => {
                let contents = contents(&factory.path_for_session(session)).await;
                store.close().await;
                contents?
            }
            None => format!("no {session}\n"),
        };
    }
    Ok(all)
}

async fn create(base: &Path, durability: Durability) {
    let factory = factory(base, durability);
    for session in [SESSION, "other"] {
        let request = request(session);
        let created = factory.try_create_store(&request);
        step(true, created).await.unwrap().close().await;
        wait_until_closed(&factory.path_for_session(session));
    }
    let request = request(SESSION);
    let opened = factory.try_create_store(&request);
    let store = step(true, opened).await.unwrap();
    step(true, store.commit_runtime_state(append(None, chain(0, 3))))
        .await
        .unwrap();
    store.close().await;
    wait_until_closed(&factory.path_for_session(SESSION));
}

async fn deletion(base: &Path, durability: Durability) {
    make_directory(base);
    let factory = factory(base, durability);
    for round in 0..2 {
        let request = request(SESSION);
        let created = factory.try_create_store(&request);
        let store = step(true, created).await.unwrap();
        step(true, store.commit_runtime_state(append(None, chain(0, 3))))
            .await
            .unwrap();
        // Once with a handle that is left over, once without.
        if round == 0 {
            store.close().await;
            wait_until_closed(&factory.path_for_session(SESSION));
            step(true, factory.try_delete_session(SESSION))
                .await
                .unwrap();
        } else {
            step(true, factory.try_delete_session(SESSION))
                .await
                .unwrap();
            store
                .commit_runtime_state(append(Some(1), chain(3, 1)))
                .await
                .unwrap_err();
        }
    }
}
