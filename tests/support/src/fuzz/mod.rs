//! The bodies of the fuzz targets: what reads bytes that it did not just write, given any.
//!
//! Each is an ordinary function of the input. `fuzz/` runs them under libFuzzer;
//! `tests/tests/fuzz.rs` runs them over the inputs that are checked in, with any Rust.
//! A body panics if what it promises does not hold.

mod blob_frame;
mod database_file;
mod input;
mod rows;
mod wit_arguments;

pub use database_file::{IMAGES, Image, image};

/// Something that reads foreign bytes.
pub struct Target {
    /// The name, as in `fuzz/Cargo.toml`.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "rows",
        run: rows::run,
    },
    Target {
        name: "blob_frame",
        run: blob_frame::run,
    },
    Target {
        name: "database_file",
        run: database_file::run,
    },
    Target {
        name: "wit_arguments",
        run: wit_arguments::run,
    },
];

/// Runs the target of this name.
///
/// # Panics
///
/// If there is no such target, or as the target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(data);
}
