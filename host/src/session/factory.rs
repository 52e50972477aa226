//! One session database for each session, in one directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use lash_core::{
    DurabilityTier, RuntimePersistence, SessionMeta, SessionStoreCreateRequest, SessionStoreFactory,
};
use lash_store_engine::observability::{Chain, Logged, span};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::session::{Store, StoreBuilder, StoreOptions};
use crate::{EngineError, operation};

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
        let store = self.open(request, path).await?;
        match store.try_load_session_meta().await {
            Ok(Some(_)) => Ok(Arc::new(store)),
            Ok(None) => {
                store
                    .create_session_meta(self.default_meta(request))
                    .await?;
                Ok(Arc::new(store))
            }
            // A deletion was interrupted after it had begun. It is finished now.
            Err(Error::Engine(EngineError::Retired { .. })) => {
                drop(store);
                remove_files(path)?;
                let store = self.open(request, path).await?;
                store
                    .create_session_meta(self.default_meta(request))
                    .await?;
                Ok(Arc::new(store))
            }
            Err(error) => Err(error),
        }
    }

    async fn open(&self, request: &SessionStoreCreateRequest, path: &Path) -> Result<Store, Error> {
        let store = self.builder.clone().open(path).await?;
        store.name_session(&request.session_id);
        Ok(store)
    }

    /// As the trait's `delete_session`, and returns the error.
    ///
    /// Handles that still have the session open fail with [`EngineError::Retired`](crate::EngineError::Retired) from
    /// now on, also in other processes.
    ///
    /// # Errors
    ///
    /// [`EngineError::Io`](crate::EngineError::Io) if a file cannot be removed.
    pub async fn try_delete_session(&self, session_id: &str) -> Result<(), Error> {
        let path = self.path_for_session(session_id);
        let span = span("delete session", &path);
        span.record("session", session_id);
        let deleted = async {
            if let Err(error) = self.retire(&path).await {
                // Whatever the file is, its owner wants it gone.
                tracing::debug!(error = %Logged(&error), "deleted without retiring");
            }
            remove_files(&path)
        };
        operation::within(span, deleted).await
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

    /// Tells other handles. A file that is no session of ours is left alone, and
    /// none is made.
    async fn retire(&self, path: &Path) -> Result<(), Error> {
        if fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0 {
            return Ok(());
        }
        self.builder.clone().open(path).await?.retire().await
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
        if !self.path_for_session(&request.session_id).exists() {
            return Ok(None);
        }
        self.create_store(request).await.map(Some)
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

/// Removes a database: the file first, because a log without its file is ignored,
/// but a file without its log has lost what was committed last.
fn remove_files(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_os_string();
        file.push(suffix);
        let file = PathBuf::from(file);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(&file, error));
            }
            _ => {}
        }
    }
    Ok(())
}
