//! Compiled code is run as it is found in the cache. With `sudo`, which may keep the caller's
//! `HOME`, root ran what the caller had put there.

use std::fmt::{Debug, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lash_wasm_store::Store;
use lash_wasm_store_testing::child;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::under::{NOBODY, after, open_directory, unprivileged};

/// The warnings of this process.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
}

fn cache_of(home: &Path) -> PathBuf {
    home.join(".cache/lash-wasm-store")
}

/// Opens a store in a process whose home is `home`; returns its warnings.
async fn warnings_of_a_store() -> Vec<String> {
    let warnings = Warnings::default();
    tracing::subscriber::set_global_default(warnings.clone()).unwrap();
    Store::memory().await.unwrap();
    Store::memory().await.unwrap();
    warnings.0.lock().unwrap().clone()
}

#[tokio::test]
async fn compiled_code_is_kept_only_where_nobody_else_can_change_it() {
    if let Some(home) = child::file() {
        let warnings = warnings_of_a_store().await;
        if rustix::process::geteuid().is_root() {
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            let named = home.to_str().unwrap();
            assert!(warnings[0].contains(named), "{warnings:?}");
            assert!(warnings[0].contains("another user"), "{warnings:?}");
        } else {
            assert!(warnings.is_empty(), "{warnings:?}");
        }
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: the cache of another user, because this is not root");
        return;
    }
    let home = open_directory();
    let home = home.path();
    chown(home, Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755)).unwrap();
    let test = compiled_code_is_kept_only_where_nobody_else_can_change_it;

    let as_root = format!("unset XDG_CACHE_HOME; export HOME='{}'", home.display());
    after(&as_root, test, home);
    assert!(!home.join(".cache").exists(), "nothing is created there");

    unprivileged("unset XDG_CACHE_HOME; umask 000", test, home);
    let cache = cache_of(home);
    if !cache.exists() {
        println!("skipped: the user's own cache, because no other user runs this program");
        return;
    }
    let metadata = std::fs::metadata(&cache).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (NOBODY, 0o700));
    let written = |path| std::fs::read_dir(path).unwrap().count();
    assert_eq!(written(cache.join("modules")), 1, "it is used");

    let before = written(cache.clone());
    after(&as_root, test, home);
    assert_eq!(written(cache), before);
}
