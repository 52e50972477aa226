//! What can be said on the command line, and what `--help` says about it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// What the `--help` of every command ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0    done, and all is well
  1    done, and something is wrong: damage was found, or something was not imported
  2    the command line is wrong
  3    a file can not be used: missing, of another program, in use, read-only, disk full
  4    this program failed
  130  interrupted; no file was changed, or each whole step that was done stays
  141  nobody reads the output any more
Of several databases, the highest code counts.";

const EXAMPLES: &str = "\
Examples:
  lash-store import old/session.db new/session.db    bring a session of lash-sqlite-store
  lash-store import old/ new/                        bring every database of a directory
  lash-store inspect new/session.db                  what is in it, and how large it is
  lash-store verify new/                             check everything in all of them
  lash-store export new/session.db | jq .record      read it with another program";

fn help(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

/// Looks into the databases of lash-wasm-store, and looks after them.
///
/// A database has one session, or the processes, the host events or the effects of a
/// deployment. Where PATH is a directory, the command is for every database in it, not for
/// those in directories below. It may be used while applications have the databases open.
#[derive(Parser)]
#[command(
    name = "lash-store",
    bin_name = "lash-store",
    version,
    max_term_width = 90,
    arg_required_else_help = true,
    after_help = "Begin with `lash-store inspect PATH`. More: `lash-store COMMAND --help`.",
    after_long_help = help(EXAMPLES)
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Write for programs: one JSON object a line, results to standard output, errors to
    /// standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Import(Import),
    Inspect(Inspect),
    Verify(Verify),
    Gc(Gc),
    Vacuum(Vacuum),
    Export(Export),
}

/// Bring databases that lash-sqlite-store 0.1.0-alpha.46 has written.
///
/// SOURCE is only read, and may be in use. DESTINATION appears when it is complete, and
/// must not exist before; a directory may, if it has no file of the same name. Everything
/// is checked on the way. If something is damaged nothing is imported and every loss is
/// named, unless --partial is given.
#[derive(Args)]
#[command(after_long_help = help("\
Examples:
  lash-store import old/session.db new/session.db
  lash-store import --partial old/ new/      import what is whole, name the rest"))]
pub(crate) struct Import {
    /// A database of lash-sqlite-store, or a directory of them.
    pub(crate) source: PathBuf,

    /// The new database, or a directory for them, which is made if it is not there.
    pub(crate) destination: PathBuf,

    /// Import what is whole, and name what is lost.
    #[arg(long)]
    pub(crate) partial: bool,
}

/// Show what is in a database: its head, counts, sizes, queue, and what gc would free.
///
/// It reads one consistent state and changes nothing.
#[derive(Args)]
#[command(after_long_help = help("\
Examples:
  lash-store inspect session.db
  lash-store --json inspect sessions/ | jq -c '[.path, .kind]'"))]
pub(crate) struct Inspect {
    /// A database, or a directory of them.
    pub(crate) path: PathBuf,
}

/// Check everything in a database, and list what is wrong.
///
/// Every blob against its key, every row against its checksum, every reference, the graph,
/// the queue, the leases, and the structure of the SQLite file. It changes nothing.
#[derive(Args)]
#[command(after_long_help = help("\
Examples:
  lash-store verify session.db && cp session.db backup/
  lash-store verify sessions/ || echo 'look at the list above'"))]
pub(crate) struct Verify {
    /// A database, or a directory of them.
    pub(crate) path: PathBuf,
}

/// Remove blobs that nothing refers to.
///
/// Only sessions have blobs. Everything that is referred to is read and checked before
/// anything is removed; if any of it is damaged, nothing is.
#[derive(Args)]
#[command(after_long_help = help("\
Example:
  lash-store gc sessions/"))]
pub(crate) struct Gc {
    #[command(flatten)]
    pub(crate) reclaim: Reclaim,
}

/// Remove what was deleted, and give unused pages back to the file system.
///
/// In a session, nodes that were marked as deleted are removed. It works in small steps,
/// so that applications can write meanwhile.
#[derive(Args)]
#[command(after_long_help = help("\
Example:
  lash-store gc sessions/ && lash-store vacuum sessions/"))]
pub(crate) struct Vacuum {
    #[command(flatten)]
    pub(crate) reclaim: Reclaim,
}

#[derive(Args)]
pub(crate) struct Reclaim {
    /// A database, or a directory of them.
    pub(crate) path: PathBuf,

    /// How long to wait for another writer.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub(crate) wait: Duration,
}

/// Write everything in a database as JSON, one object a line.
///
/// The member "record" of an object says what it is. It is one consistent state.
#[derive(Args)]
#[command(after_long_help = help("\
Examples:
  lash-store export session.db | jq -c 'select(.record == \"node\")'
  lash-store export sessions/ --output sessions.jsonl"))]
pub(crate) struct Export {
    /// A database, or a directory of them.
    pub(crate) path: PathBuf,

    /// Write to this file, which appears when it is complete, instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Replace the file of --output if it exists.
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
