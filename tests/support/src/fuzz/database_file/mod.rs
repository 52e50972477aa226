//! Whole database files: real ones that the input changes, or anything.
//!
//! Everything that opens a file of somebody else's answers, or refuses with a typed error; the
//! component never stops. What is only read is the same afterwards, byte for byte. A database
//! that is sound is so after it was written to, and what an import makes is sound.

mod edit;
mod images;
mod import;
mod read;
mod write;

pub use images::{IMAGES, Image, image};

use std::fmt::Display;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::input::Input;
use crate::fixtures::Place;

/// Longer than any file of this size takes.
const PATIENCE: Duration = Duration::from_secs(20);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
});

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.below(IMAGES.len() + 1);
    let image = IMAGES.get(choice);
    let beside = ["", "-wal", "-journal"][input.below(16).saturating_sub(13)];
    let log = input.take(match beside {
        "" => 0,
        _ => 64,
    });
    let bytes = match image {
        Some(image) => edit::edited(image.bytes(), &mut input),
        None => input.rest().to_vec(),
    };
    let place = Place::new();
    std::fs::write(place.path(), &bytes).expect("a file");
    if !beside.is_empty() {
        let mut path = place.path().as_os_str().to_owned();
        path.push(beside);
        std::fs::write(path, log).expect("a file");
    }
    RUNTIME.block_on(async {
        let judged = judge(place.path(), image.is_none_or(Image::is_native));
        tokio::time::timeout(PATIENCE, judged)
            .await
            .expect("it ends");
    });
}

async fn judge(path: &Path, native: bool) {
    if native {
        import::import(path).await;
    }
    let sound = read::read(path).await;
    write::write(path).await;
    if sound {
        assert!(read::is_sound(path).await, "what was sound is not any more");
    }
}

/// Takes an answer, which may be an error, but not that the component stopped.
fn typed<T, E: Display>(answer: Result<T, E>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains("the store component failed"), "{text}");
            None
        }
    }
}
