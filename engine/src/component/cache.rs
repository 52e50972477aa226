//! Where compiled code is kept between processes.
//!
//! wasmtime runs what it finds there. So it is a directory that only this user can reach,
//! below directories in which only this user and root can put another one in its place. It
//! is a separate one, not wasmtime's: wasmtime creates files with the mode that the umask leaves.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread;

use wasmtime::{Cache, CacheConfig};

use crate::observability::TARGET;

/// The directory in that of the user's caches.
const NAME: &str = "lash-wasm-store";

/// The cache, if there is a place for one.
pub(super) fn open() -> Option<Cache> {
    match try_open() {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::debug!(target: TARGET, %error, "the component is compiled without a cache");
            None
        }
    }
}

fn try_open() -> Result<Cache, Box<dyn Error>> {
    let directory = caches()
        .ok_or("no directory for caches is known")?
        .join(NAME);
    let mut config = CacheConfig::new();
    config.with_directory(private(&directory).inspect_err(|error| warn(&directory, error))?);
    // The cache has a thread, and panics if it cannot be started.
    thread::Builder::new()
        .spawn(|| {})?
        .join()
        .map_err(|_| "a thread stopped")?;
    Ok(Cache::new(config)?)
}

/// Warns of a directory that others can write to. Other failures are harmless.
fn warn(directory: &Path, error: &io::Error) {
    static WARNED: Once = Once::new();
    if error.get_ref().is_some() {
        let path = directory.display();
        WARNED.call_once(|| {
            tracing::warn!(
                target: TARGET, %path, %error,
                "compiled code is not cached, because others could change it: make the \
                 directory private, or name another one in XDG_CACHE_HOME"
            );
        });
    }
}

/// Where the user's caches are.
fn caches() -> Option<PathBuf> {
    if cfg!(windows) {
        return std::env::var_os("LOCALAPPDATA").map(PathBuf::from);
    }
    if cfg!(target_os = "macos") {
        return Some(std::env::home_dir()?.join("Library/Caches"));
    }
    match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(path) if path.is_absolute() => Some(path),
        _ => Some(std::env::home_dir()?.join(".cache")),
    }
}

/// Creates the directory, with those above it, unless it is there. Returns its path without
/// links, if only this user can reach it and only root can also replace it.
#[cfg(unix)]
fn private(directory: &Path) -> io::Result<PathBuf> {
    use std::fs::{self, DirBuilder};
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let user = rustix::process::geteuid().as_raw();
    let refuse = |path: &Path, why: &str| io::Error::other(format!("{} {why}", path.display()));
    // What is there already is checked before anything is created in it.
    let existing = directory.ancestors().find(|path| path.exists());
    let existing = fs::canonicalize(existing.unwrap_or(directory))?;
    for path in existing.ancestors() {
        let metadata = fs::metadata(path)?;
        let (owner, mode) = (metadata.uid(), metadata.mode());
        if owner != user && owner != 0 {
            return Err(refuse(path, "belongs to another user"));
        }
        // In a sticky directory nobody else can replace what belongs to this user or root.
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return Err(refuse(path, "can be written by others"));
        }
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let directory = fs::canonicalize(directory)?;
    let metadata = fs::metadata(&directory)?;
    if metadata.uid() != user {
        return Err(refuse(&directory, "belongs to another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refuse(&directory, "can be reached by others"));
    }
    Ok(directory)
}

/// Elsewhere the directory of a user is private.
#[cfg(not(unix))]
fn private(directory: &Path) -> io::Result<PathBuf> {
    Ok(directory.to_path_buf())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::testing::Directory;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_directory_is_private() {
        let root = Directory::new();
        set_mode(&root.path(""), 0o755);
        let cache = root.path("a/b");
        let found = private(&cache).unwrap();
        assert_eq!(found, fs::canonicalize(&cache).unwrap());
        assert_eq!(mode(&cache), 0o700);
        assert_eq!(mode(&root.path("a")), 0o700);
        private(&cache).unwrap();
    }

    #[test]
    fn a_directory_that_others_reach_is_refused_and_kept_as_it_is() {
        let root = Directory::new();
        set_mode(&root.path(""), 0o755);
        for bits in [0o755, 0o770, 0o701, 0o1777] {
            let cache = root.path(format!("{bits:o}"));
            fs::create_dir(&cache).unwrap();
            set_mode(&cache, bits);
            let error = private(&cache).unwrap_err().to_string();
            assert!(error.contains(cache.to_str().unwrap()), "{error}");
            assert_eq!(mode(&cache), bits);
        }
    }

    #[test]
    fn nothing_is_created_where_others_can_write() {
        let root = Directory::new();
        for bits in [0o775, 0o757, 0o777] {
            set_mode(&root.path(""), bits);
            private(&root.path("a/b")).unwrap_err();
            assert!(!root.path("a").exists());
        }
        // As `/tmp`.
        set_mode(&root.path(""), 0o1777);
        private(&root.path("a/b")).unwrap();
        // One that was private, in a directory that is not any more.
        set_mode(&root.path("a"), 0o777);
        private(&root.path("a/b")).unwrap_err();
    }

    #[test]
    fn a_link_is_judged_by_where_it_leads() {
        let root = Directory::new();
        set_mode(&root.path(""), 0o755);
        fs::create_dir(root.path("open")).unwrap();
        set_mode(&root.path("open"), 0o777);
        fs::create_dir(root.path("open/c")).unwrap();
        set_mode(&root.path("open/c"), 0o700);
        symlink(root.path("open/c"), root.path("link")).unwrap();
        private(&root.path("link")).unwrap_err();
        fs::create_dir(root.path("closed")).unwrap();
        set_mode(&root.path("closed"), 0o700);
        symlink(root.path("closed"), root.path("good")).unwrap();
        assert!(private(&root.path("good")).unwrap().ends_with("closed"));
    }
}
