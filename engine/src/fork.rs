//! Whether this process is the one that opened its databases, or a fork of it.
//!
//! A child of `fork` has none of the threads of its parent, but its connections, with
//! locks that only the parent holds. Whatever SQLite did with them would harm the parent's
//! files, and also a file that the child opens itself: SQLite takes the parent's locks for
//! its own. So nothing is used there, and nothing is closed.

use std::process;
use std::sync::OnceLock;

/// Whether the process that used the engine first is another one than this. One call of
/// the system, of some 50 ns.
pub(crate) fn is_forked() -> bool {
    static ORIGIN: OnceLock<u32> = OnceLock::new();
    *ORIGIN.get_or_init(process::id) != process::id()
}
