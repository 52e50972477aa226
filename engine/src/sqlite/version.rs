//! The SQLite that this program is linked with.

use std::sync::Once;

use crate::observability::TARGET;

/// Returns the version of SQLite that this program is linked with, for example `3.50.7`.
#[must_use]
pub fn version() -> &'static str {
    rusqlite::version()
}

/// Returns whether this version of SQLite has the [WAL-reset bug][bug]: two connections
/// that write and checkpoint at the same moment can lose commits or corrupt the file.
/// Every store works like this. The bug is in 3.7.0 to 3.51.2, without 3.44.6 and 3.50.7,
/// to which the correction was ported.
///
/// [bug]: https://www.sqlite.org/wal.html#walresetbug
#[must_use]
pub fn has_wal_reset_bug() -> bool {
    has_bug(rusqlite::version_number())
}

/// `version` is SQLite's number, for example 3050007 for 3.50.7.
fn has_bug(version: i32) -> bool {
    let ported = matches!(version, 3_044_006..3_045_000 | 3_050_007..3_051_000);
    (3_007_000..3_051_003).contains(&version) && !ported
}

/// Logs once in the life of the process that writing is at risk, if it is.
pub(super) fn warn_of_wal_reset_bug() {
    static WARNED: Once = Once::new();
    if has_wal_reset_bug() {
        WARNED.call_once(|| {
            tracing::warn!(
                target: TARGET,
                sqlite = version(),
                "this version of SQLite can lose commits or corrupt a file in WAL mode \
                 (https://www.sqlite.org/wal.html#walresetbug); update rusqlite"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::has_bug;

    #[test]
    fn the_versions_with_the_bug_are_those_that_sqlite_lists() {
        for affected in [
            3_007_000, 3_044_005, 3_045_000, 3_050_002, 3_050_006, 3_051_002,
        ] {
            assert!(has_bug(affected), "{affected}");
        }
        for sound in [3_006_023, 3_044_006, 3_050_007, 3_051_003, 3_053_000] {
            assert!(!has_bug(sound), "{sound}");
        }
    }
}
