//! The engine's database, whose jobs end with this crate's error.

use std::future::Future;
use std::ops::Deref;
use std::path::Path;

use lash_store_engine::{Call, DatabaseKind, OpenOptions};

use crate::error::Error;

/// See [`lash_store_engine::Database`].
#[derive(Clone)]
pub(crate) struct Database(lash_store_engine::Database);

impl Deref for Database {
    type Target = lash_store_engine::Database;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Database {
    pub(crate) async fn open(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let db = lash_store_engine::Database::open(path, kind, options).await?;
        Ok(Self(db))
    }

    pub(crate) fn open_blocking(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let db = lash_store_engine::Database::open_blocking(path, kind, options)?;
        Ok(Self(db))
    }

    pub(crate) async fn open_existing(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let db = lash_store_engine::Database::open_existing(path, kind, options).await?;
        Ok(Self(db))
    }

    pub(crate) async fn open_readonly(
        path: &Path,
        kind: DatabaseKind,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let db = lash_store_engine::Database::open_readonly(path, kind, options).await?;
        Ok(Self(db))
    }

    pub(crate) async fn memory(kind: DatabaseKind, options: &OpenOptions) -> Result<Self, Error> {
        let db = lash_store_engine::Database::memory(kind, options).await?;
        Ok(Self(db))
    }

    /// See [`lash_store_engine::Database::urgent`].
    pub(crate) fn urgent(&self) -> Self {
        Self(self.0.urgent())
    }

    pub(crate) fn read<R: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> impl Future<Output = Result<R, Error>> + Send {
        self.0.read(operation, job)
    }

    pub(crate) fn write<R: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> impl Future<Output = Result<R, Error>> + Send {
        self.0.write(operation, job)
    }

    pub(crate) fn write_surely<R: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> impl Future<Output = Result<R, Error>> + Send {
        self.0.write_surely(operation, job)
    }

    pub(crate) fn write_detached(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<(), Error> + Send + 'static,
    ) {
        self.0.write_detached(operation, job);
    }

    pub(crate) fn read_blocking<R: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.0.read_blocking(operation, job)
    }

    pub(crate) fn write_blocking<R: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Call<'_>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.0.write_blocking(operation, job)
    }
}
