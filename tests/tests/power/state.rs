//! What is in the databases of a directory, as text.

use std::path::Path;

use lash_wasm_store::inspect::Inspector;
use lash_wasm_store_testing::fixtures::TestClock;

/// The time at which everything happens, in ms since 1970, unless a clock is set.
pub const NOW_MS: i64 = 1_700_000_000_000;

/// A clock that shows this time.
pub fn clock() -> TestClock {
    TestClock::at(NOW_MS)
}

/// Everything that a database holds, if all of it is sound.
pub async fn contents(path: &Path) -> Result<String, String> {
    let failed = |error: lash_wasm_store::EngineError| format!("{error:?}");
    let inspector = Inspector::open(path).await.map_err(failed)?;
    let verification = inspector.verify().await.map_err(failed)?;
    if !verification.is_sound() {
        return Err(format!("{:?}", verification.problems));
    }
    let mut contents = String::new();
    let mut records = inspector.records();
    while let Some(page) = records.next_page().await.map_err(failed)? {
        for record in page {
            contents += &serde_json::to_string(&record).unwrap();
            contents.push('\n');
        }
    }
    Ok(contents)
}

/// An error as text.
pub fn failure(error: impl std::fmt::Debug) -> String {
    format!("it does not open: {error:?}")
}

/// A test for each durability: what a workload acknowledges, with what a state is.
macro_rules! power {
    ($($name:ident: $work:path, $state:path;)*) => {$(
        mod $name {
            use lash_wasm_store::Durability;

            #[tokio::test]
            async fn full() {
                if let Some(base) = $crate::proof::recorded() {
                    return $work(&base, Durability::Full).await;
                }
                let name = stringify!($name);
                $crate::proof::prove(name, Durability::Full, full, $state).await;
            }

            #[tokio::test]
            async fn normal() {
                if let Some(base) = $crate::proof::recorded() {
                    return $work(&base, Durability::Normal).await;
                }
                let name = stringify!($name);
                $crate::proof::prove(name, Durability::Normal, normal, $state).await;
            }
        }
    )*};
}
pub(crate) use power;
