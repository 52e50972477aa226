//! What blobs are stored as: compressed bytes, keys, lists of references and manifests, and
//! what an export hands out as its place.
//!
//! Content is answered only if its digest is the key. A stored length bounds what is inflated.

use lash_wasm_store_guest::bindings::format_types::Kind as Format;
use lash_wasm_store_guest::bindings::import_types::{ImportedBlob, StoredContent};
use lash_wasm_store_guest::bindings::session_types::{BlobKind, BlobProfile};
use lash_wasm_store_guest::format;
use lash_wasm_store_guest::session::{self, blobs, checkpoints};
use rusqlite::params;

use super::input::Input;
use super::wit_arguments::Kind;
use crate::native::NativeEnvironment;

pub(super) fn run(data: &[u8]) {
    #[cfg(fuzzing)]
    lash_wasm_store_guest::fuzzing::accept_any_checksum();
    let mut input = Input::new(data);
    let env = NativeEnvironment::from_image(&Kind::Session.open().image());
    match input.below(6) {
        0 | 1 => damaged(&env, &mut input),
        2 => imported(&env, &mut input),
        3 => manifest(&env, &mut input),
        4 => {
            let _ = session::read_page(&env, Some(input.rest()));
        }
        _ => {
            for kind in [Format::Session, Format::Effects] {
                let _ = format::classify(input.rest(), kind);
            }
        }
    }
}

/// A blob of which the input says how it is stored.
fn damaged(env: &NativeEnvironment, input: &mut Input<'_>) {
    let content = match input.flag() {
        true => "some content ".repeat(100).into_bytes(),
        false => input.bytes(),
    };
    let kind = BlobKind::ToolState;
    let put = blobs::put(env, content.clone(), kind, true, BlobProfile::Compact);
    let key = put.expect("a blob");
    let read = blobs::get(env, &key).expect("an answer");
    assert_eq!(read.as_ref(), Some(&content), "what was put is read back");

    let connection = env.connection();
    let stored: Vec<u8> = connection
        .query_row("SELECT content FROM blobs", [], |row| row.get(0))
        .expect("a row");
    let stored = change(stored, input);
    let length = match input.flag() {
        true => input.number().cast_signed(),
        false => content.len() as i64,
    };
    let edges = input.maybe(Input::bytes).unwrap_or_default();
    // Constraints may refuse it.
    let _ = connection.execute(
        "UPDATE blobs SET content = ?1, length = ?2, encoding = ?3, edges = ?4",
        params![stored, length, input.below(3) as i64, edges],
    );
    if let Ok(read) = blobs::get(env, &key) {
        assert!(read.is_none_or(|read| read == content), "other content");
    }
    let _ = checkpoints::get(env, &key);
    let _ = Kind::Session.verify(env);
}

/// The stored bytes with some changed, or others.
fn change(mut stored: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    match input.below(3) {
        0 => {
            for _ in 0..=input.below(4) {
                let at = input.below(stored.len());
                if let Some(byte) = stored.get_mut(at) {
                    *byte ^= input.byte();
                }
            }
            stored
        }
        1 => {
            stored.truncate(input.below(stored.len() + 1));
            stored
        }
        _ => {
            let length = input.below(256);
            input.take(length)
        }
    }
}

/// Blobs of another program, which are inflated to be checked.
fn imported(env: &NativeEnvironment, input: &mut Input<'_>) {
    let key = match input.flag() {
        true => "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
        false => input.name(),
    };
    let content = match input.flag() {
        true => StoredContent::Zlib(input.rest().to_vec()),
        false => StoredContent::Raw(input.rest().to_vec()),
    };
    let imported = ImportedBlob {
        key: key.clone(),
        kind: BlobKind::Generic,
        compressible: true,
        content,
        manifest: None,
    };
    if blobs::add(env, vec![imported], BlobProfile::Compact).is_ok() {
        let read = blobs::get(env, &key).expect("an answer");
        assert!(read.is_some(), "what was added is there");
    }
}

/// A blob that is read as a manifest.
fn manifest(env: &NativeEnvironment, input: &mut Input<'_>) {
    let content = input.rest().to_vec();
    let kind = BlobKind::CheckpointManifest;
    let put = blobs::put(env, content, kind, false, BlobProfile::LowLatency);
    let _ = checkpoints::get(env, &put.expect("a blob"));
    let _ = Kind::Session.verify(env);
}
