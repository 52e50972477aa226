//! What the build tasks and the tests both know about the components: where they
//! are, what they were built from, and what they import and export.

pub mod build;
pub mod cargo;
pub mod sources;
pub mod surface;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A component of this repository: a package, and where what it builds is kept.
#[derive(Debug)]
pub struct Artifact {
    /// What `cargo xtask component` calls it.
    pub name: &'static str,
    /// The package that it is built from.
    pub package: &'static str,
    /// The features of the package that it is built with, beside the default ones.
    pub features: &'static [&'static str],
    /// The parts of the workspace that it is built from, the package's directory
    /// first.
    pub sources: &'static [&'static str],
    /// The built component.
    pub component: &'static str,
    /// The digest of the sources that it was built from, as [`sources::digest`]
    /// made it.
    pub digest: &'static str,
}

/// The sources of the guest.
const GUEST: [&str; 4] = ["guest", "components/runtime", "rust-toolchain.toml", "wit"];

const HOSTILE_SOURCES: [&str; 5] = [
    "guest",
    "components/hostile",
    "components/runtime",
    "rust-toolchain.toml",
    "wit",
];

/// The store. It and the [`TOOLS`] are embedded by the engine, and are what is shipped and
/// committed.
pub const STORE: Artifact = Artifact {
    name: "store",
    package: "lash-wasm-store-guest",
    features: &["store"],
    sources: &GUEST,
    component: "engine/component/lash_store.wasm",
    digest: "engine/component/lash_store.sha256",
};

/// What inspects, verifies, exports and fills the databases of the store.
pub const TOOLS: Artifact = Artifact {
    name: "tools",
    package: "lash-wasm-store-guest",
    features: &["tools"],
    sources: &GUEST,
    component: "engine/component/lash_store_tools.wasm",
    digest: "engine/component/lash_store_tools.sha256",
};

/// What checks an embedder of the store.
pub const CONFORMANCE: Artifact = Artifact {
    name: "conformance",
    package: "lash-host-conformance",
    features: &[],
    sources: &[
        "components/conformance",
        "components/runtime",
        "rust-toolchain.toml",
        "wit",
    ],
    component: "target/components/conformance.wasm",
    digest: "target/components/conformance.sha256",
};

/// The store, which attacks its host when it is told to: for tests.
pub const HOSTILE: Artifact = Artifact {
    name: "hostile",
    package: "lash-wasm-store-guest",
    features: &["store", "hostile"],
    sources: &HOSTILE_SOURCES,
    component: "target/components/hostile.wasm",
    digest: "target/components/hostile.sha256",
};

/// Its tools, which attack too.
pub const HOSTILE_TOOLS: Artifact = Artifact {
    name: "hostile-tools",
    package: "lash-wasm-store-guest",
    features: &["tools", "hostile"],
    sources: &HOSTILE_SOURCES,
    component: "target/components/hostile_tools.wasm",
    digest: "target/components/hostile_tools.sha256",
};

/// A plugin that keeps notes.
pub const NOTES: Artifact = Artifact {
    name: "notes",
    package: "lash-plugin-notes",
    features: &[],
    sources: &[
        "components/plugins/notes",
        "components/runtime",
        "rust-toolchain.toml",
        "wit",
    ],
    component: "target/components/notes.wasm",
    digest: "target/components/notes.sha256",
};

/// A plugin that tries to read what is not its own.
pub const SNOOP: Artifact = Artifact {
    name: "snoop",
    package: "lash-plugin-snoop",
    features: &[],
    sources: &[
        "components/plugins/snoop",
        "components/runtime",
        "rust-toolchain.toml",
        "wit",
    ],
    component: "target/components/snoop.wasm",
    digest: "target/components/snoop.sha256",
};

/// A plugin that does what the tests tell it.
pub const PROBE: Artifact = Artifact {
    name: "probe",
    package: "lash-plugin-probe",
    features: &[],
    sources: &[
        "components/plugins/probe",
        "components/runtime",
        "rust-toolchain.toml",
        "wit",
    ],
    component: "target/components/probe.wasm",
    digest: "target/components/probe.sha256",
};

/// A store of sessions that has nothing of the guest in it: for tests, and to be read.
pub const MINIMAL: Artifact = Artifact {
    name: "minimal",
    package: "lash-store-minimal",
    features: &[],
    sources: &[
        "components/minimal",
        "components/runtime",
        "rust-toolchain.toml",
        "wit",
    ],
    component: "target/components/minimal.wasm",
    digest: "target/components/minimal.sha256",
};

/// All of them.
pub const ARTIFACTS: [&Artifact; 9] = [
    &STORE,
    &TOOLS,
    &CONFORMANCE,
    &HOSTILE,
    &HOSTILE_TOOLS,
    &NOTES,
    &SNOOP,
    &PROBE,
    &MINIMAL,
];

/// Those that are committed.
pub const COMMITTED: [&Artifact; 2] = [&STORE, &TOOLS];

/// The target that they are built for.
pub const TARGET: &str = "wasm32-wasip2";

/// The profile that they are built with, of the workspace's `Cargo.toml`.
pub const PROFILE: &str = "component";

/// The profile for the loop of editing and testing. What is committed is not built with it.
pub const FAST_PROFILE: &str = "component-fast";

/// The compiler flags that they are built with. Flags of `.cargo/config.toml` and
/// of the environment are not used.
pub const RUSTFLAGS: [&str; 2] = [
    "-Ctarget-feature=+simd128",
    // The linker's adapter of WASI 0.1 has nothing to adapt, but its presence would
    // raise the versions of the WASI imports to the adapter's.
    "-Clink-arg=--wasi-adapter=none",
];

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

/// Replaces a file in one step: a build that runs at the same time reads the old
/// one or the new one.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let temporary = path.with_extension("new");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(context)?;
    }
    fs::write(&temporary, content).with_context(context)?;
    fs::rename(&temporary, path).with_context(context)
}
