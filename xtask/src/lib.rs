//! What the build tasks and the tests both know about the embedded component:
//! where it is, what it was built from, and what it imports and exports.

pub mod sources;
pub mod surface;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The package that the component is built from.
pub const PACKAGE: &str = "lash-wasm-store-guest";

/// The target that it is built for.
pub const TARGET: &str = "wasm32-wasip2";

/// The profile that it is built with, of the workspace's `Cargo.toml`.
pub const PROFILE: &str = "component";

/// The compiler flags that it is built with. Flags of `.cargo/config.toml` and of
/// the environment are not used.
pub const RUSTFLAGS: [&str; 2] = [
    "-Ctarget-feature=+simd128",
    // The linker's adapter of WASI 0.1 has nothing to adapt, but its presence would
    // raise the versions of the WASI imports to the adapter's.
    "-Clink-arg=--wasi-adapter=none",
];

/// The embedded component.
pub const COMPONENT: &str = "host/component/lash_store.wasm";

/// The digest of the sources that it was built from, as [`sources::digest`] made
/// it.
pub const SOURCES_DIGEST: &str = "host/component/sources.sha256";

/// The directory of the workspace that this crate was compiled in.
///
/// # Errors
///
/// If the workspace was moved since.
pub fn workspace_root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .context("the workspace is not where this program was compiled")
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
