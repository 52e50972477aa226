//! One session database for each session, in one directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lash_core::{
    DurabilityTier, RuntimePersistence, SessionMeta, SessionStoreCreateRequest, SessionStoreFactory,
};
use lash_store_engine::observability::{Chain, span};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::session::{Store, StoreBuilder, StoreOptions};
use crate::{EngineError, operation};

/// How often a session is created anew that others delete at the same time.
const ATTEMPTS: usize = 10;

/// How much of a session's identifier is in the name of its file.
const NAME_LENGTH: usize = 80;

/// Makes, opens and deletes the stores of sessions, one file for each.
#[derive(Clone, Debug)]
pub struct SqliteSessionStoreFactory {
    root: PathBuf,
    builder: StoreBuilder,
}

impl SqliteSessionStoreFactory {
    /// A factory for the files in a directory, which is made when it is needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_builder(root, StoreBuilder::new())
    }

    /// A factory whose stores have these options.
    pub fn with_options(root: impl Into<PathBuf>, options: StoreOptions) -> Self {
        Self::with_builder(root, StoreBuilder::new().options(options))
    }

    /// A factory whose stores are opened as the builder says.
    pub fn with_builder(root: impl Into<PathBuf>, builder: StoreBuilder) -> Self {
        Self {
            root: root.into(),
            builder,
        }
    }

    /// The file of a session. Its name is safe whatever the identifier, and
    /// differs for identifiers that differ.
    pub fn path_for_session(&self, session_id: &str) -> PathBuf {
        self.root.join(file_name(session_id))
    }

    /// Closes the stores of all sessions in the directory that this process has open,
    /// whoever opened them, as [`Store::close`] does. The factory can be used again.
    pub async fn close(&self) {
        lash_store_engine::close_within(&self.root).await;
    }

    /// As the trait's `create_store`, and returns the error and the store as what
    /// they are.
    ///
    /// # Errors
    ///
    /// As [`StoreBuilder::open`]; [`EngineError::Corrupt`](crate::EngineError::Corrupt) if the metadata is damaged,
    /// which is then left as it is.
    pub async fn try_create_store(
        &self,
        request: &SessionStoreCreateRequest,
    ) -> Result<Arc<Store>, Error> {
        let path = self.path_for_session(&request.session_id);
        let span = span("create store", &path);
        span.record("session", &request.session_id);
        operation::within(span, self.create(request, &path)).await
    }

    async fn create(
        &self,
        request: &SessionStoreCreateRequest,
        path: &Path,
    ) -> Result<Arc<Store>, Error> {
        let created = self.builder.open.create_directory(&self.root);
        created.map_err(|error| Error::io(&self.root, error))?;
        for _ in 0..ATTEMPTS {
            let store = self.builder.clone().open(path).await?;
            match self.begin(request, &store, true).await {
                Ok(_) => return Ok(Arc::new(store)),
                // It is being deleted, or was when that was interrupted.
                Err(Error::Engine(EngineError::Retired { .. })) => {
                    store.close().await;
                    self.builder.clone().delete_retired(path).await?;
                }
                Err(Error::Engine(EngineError::Displaced { .. })) => store.close().await,
                Err(error) => return Err(error),
            }
        }
        Err(EngineError::Retired {
            path: path.to_path_buf(),
        }
        .into())
    }

    /// As [`try_create_store`](Self::try_create_store), but creates no session: `None` if there
    /// is none.
    ///
    /// # Errors
    ///
    /// As [`try_create_store`](Self::try_create_store).
    pub async fn try_open_existing_store(
        &self,
        request: &SessionStoreCreateRequest,
    ) -> Result<Option<Arc<Store>>, Error> {
        let path = self.path_for_session(&request.session_id);
        let span = span("open store", &path);
        span.record("session", &request.session_id);
        operation::within(span, self.existing(request, &path)).await
    }

    async fn existing(
        &self,
        request: &SessionStoreCreateRequest,
        path: &Path,
    ) -> Result<Option<Arc<Store>>, Error> {
        for _ in 0..ATTEMPTS {
            let store = match self.builder.clone().open_existing(path).await {
                Ok(store) => store,
                Err(Error::Engine(EngineError::Missing { .. })) => return Ok(None),
                Err(error) => return Err(error),
            };
            match self.begin(request, &store, false).await {
                Ok(true) => return Ok(Some(Arc::new(store))),
                Ok(false) => {
                    store.close().await;
                    return Ok(None);
                }
                Err(Error::Engine(EngineError::Retired { .. })) => {
                    store.close().await;
                    self.builder.clone().delete_retired(path).await?;
                    return Ok(None);
                }
                // It was deleted meanwhile, and perhaps created anew.
                Err(Error::Engine(EngineError::Displaced { .. })) => store.close().await,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Writes the metadata of a session that has none yet. False if there is no session, because
    /// its creation was cut off or goes on, and none is to be created.
    async fn begin(
        &self,
        request: &SessionStoreCreateRequest,
        store: &Store,
        create: bool,
    ) -> Result<bool, Error> {
        store.name_session(&request.session_id);
        if store.try_load_session_meta().await?.is_some() {
            return Ok(true);
        }
        if !create && store.try_load_session_head_meta().await?.is_none() {
            return Ok(false);
        }
        store
            .create_session_meta(self.default_meta(request))
            .await?;
        Ok(true)
    }

    /// As the trait's `delete_session`, and returns the error.
    ///
    /// Handles that still have the session open fail with [`EngineError::Retired`](crate::EngineError::Retired) from
    /// now on, also in other processes.
    ///
    /// A deletion and a creation of one session may overlap, in whatever processes: a file is
    /// removed only after it was marked, so that a session that was created anew is not.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`](crate::EngineError::Busy) if another process keeps the write lock, or reads from before
    /// the deletion, for longer than the busy timeout;
    /// [`EngineError::Io`](crate::EngineError::Io) if a file cannot be removed. The session may be marked
    /// deleted all the same; the next call that deletes or creates it removes the file then.
    pub async fn try_delete_session(&self, session_id: &str) -> Result<(), Error> {
        let path = self.path_for_session(session_id);
        let span = span("delete session", &path);
        span.record("session", session_id);
        operation::within(span, self.builder.clone().delete(&path)).await
    }

    /// The metadata of a session that nobody has named yet.
    fn default_meta(&self, request: &SessionStoreCreateRequest) -> SessionMeta {
        SessionMeta {
            session_id: request.session_id.clone(),
            session_name: request.session_id.clone(),
            created_at: timestamp(self.builder.open.now()),
            model: request.policy.model.id.clone(),
            cwd: std::env::current_dir()
                .ok()
                .and_then(|path| path.to_str().map(str::to_owned)),
            relation: request.relation.clone(),
        }
    }
}

#[async_trait::async_trait]
impl SessionStoreFactory for SqliteSessionStoreFactory {
    fn durability_tier(&self) -> DurabilityTier {
        DurabilityTier::Durable
    }

    async fn create_store(
        &self,
        request: &SessionStoreCreateRequest,
    ) -> Result<Arc<dyn RuntimePersistence>, String> {
        match self.try_create_store(request).await {
            Ok(store) => Ok(store),
            Err(error) => Err(Chain(&error).to_string()),
        }
    }

    async fn open_existing_store(
        &self,
        request: &SessionStoreCreateRequest,
    ) -> Result<Option<Arc<dyn RuntimePersistence>>, String> {
        match self.try_open_existing_store(request).await {
            Ok(store) => Ok(store.map(|store| -> Arc<dyn RuntimePersistence> { store })),
            Err(error) => Err(Chain(&error).to_string()),
        }
    }

    async fn delete_session(&self, session_id: &str) -> Result<(), String> {
        self.try_delete_session(session_id)
            .await
            .map_err(|error| Chain(&error).to_string())
    }
}

/// The form of the native crate: `unix:` and seconds.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("unix:{}", since.as_secs())
}

/// The readable part of an identifier and a digest of all of it.
fn file_name(session_id: &str) -> String {
    let safe: String = session_id
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => character,
            _ => '_',
        })
        .collect();
    let readable = match safe.trim_matches('_') {
        "" => "session",
        trimmed => trimmed.get(..NAME_LENGTH).unwrap_or(trimmed),
    };
    let digest: String = Sha256::digest(session_id.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{readable}-{digest}.db")
}
