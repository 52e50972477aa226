//! Small databases of every kind, which are in `fuzz/images`.

use std::path::PathBuf;
use std::sync::OnceLock;

/// A database.
pub struct Image {
    name: &'static str,
    bytes: OnceLock<Vec<u8>>,
}

/// All of them: first those of this crate, then those of the native one. The order is part of
/// the inputs that are checked in.
pub static IMAGES: [Image; 8] = [
    Image::new("session"),
    Image::new("processes"),
    Image::new("host_events"),
    Image::new("effects"),
    Image::new("native_session"),
    Image::new("native_processes"),
    Image::new("native_host_events"),
    Image::new("native_effects"),
];

/// The bytes of the database of this name.
///
/// # Panics
///
/// If there is none.
pub fn image(name: &str) -> &'static [u8] {
    let image = IMAGES.iter().find(|image| image.name == name);
    image.expect("an image of this name").bytes()
}

impl Image {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            bytes: OnceLock::new(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether `lash-sqlite-store` wrote it.
    pub fn is_native(&self) -> bool {
        self.name.starts_with("native")
    }

    /// Where its file is.
    pub fn path(&self) -> PathBuf {
        let images = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/images");
        PathBuf::from(images).join(format!("{}.db", self.name))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes
            .get_or_init(|| std::fs::read(self.path()).expect("an image of fuzz/images"))
    }
}
