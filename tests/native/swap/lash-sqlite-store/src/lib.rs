//! lash-wasm-store under the name of the crate that it replaces.
#![forbid(unsafe_code)]

pub use lash_wasm_store::*;

#[cfg(test)]
mod tests {
    use crate::Store;

    /// What is tested under this name writes files of this project.
    #[tokio::test]
    async fn files_have_our_application_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session.db");
        drop(Store::open(&path).await.unwrap());
        let id: i32 = rusqlite::Connection::open(&path)
            .unwrap()
            .pragma_query_value(None, "application_id", |row| row.get(0))
            .unwrap();
        assert_eq!(id.to_be_bytes(), *b"LSS\x01");
    }
}
