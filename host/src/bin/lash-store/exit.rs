//! How the program ends, so that scripts can tell.

use std::process::ExitCode;

/// How a command ended. Of several databases the greatest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// All is well.
    #[default]
    Fine,
    /// It was done, and something is wrong with what is stored.
    Problems,
    /// A file cannot be used.
    Unusable,
    /// This program failed.
    Fault,
    /// Somebody interrupted it.
    Interrupted,
    /// Nobody reads what it writes.
    BrokenPipe,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Problems => 1,
            // 2 is clap's, for a wrong command line.
            Exit::Unusable => 3,
            Exit::Fault => 4,
            // As a shell reports a process that was ended by SIGINT or SIGPIPE.
            Exit::Interrupted => 130,
            Exit::BrokenPipe => 141,
        })
    }
}
