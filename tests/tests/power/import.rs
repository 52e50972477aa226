//! Imports of databases of the native crate, which are durable whatever is chosen later.

use std::path::Path;

use lash_wasm_store::Durability;
use lash_wasm_store::import::NativeImport;
use lash_wasm_store_testing::fuzz::IMAGES;

use crate::proof::{prove, recorded, step};
use crate::state::contents;

async fn state(base: &Path) -> Result<String, String> {
    let mut all = String::new();
    for image in &IMAGES {
        let path = base.join(image.name());
        all += &match path.exists() {
            true => contents(&path).await?,
            false => format!("no {}\n", image.name()),
        };
    }
    Ok(all)
}

async fn work(base: &Path) {
    for image in IMAGES.iter().filter(|image| image.is_native()) {
        let destination = base.join(image.name());
        let source = image.path();
        let imported = NativeImport::new();
        step(true, imported.any(&source, &destination))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn all_four_kinds() {
    if let Some(base) = recorded() {
        return work(&base).await;
    }
    prove("import", Durability::Full, all_four_kinds, state).await;
}
