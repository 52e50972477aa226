//! What can be said on the command line, and what `--help` says about it.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// What the `--help` of every command ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0    done, and all is well
  1    something that is stored is damaged
  2    the command line is wrong
  3    a file cannot be used: missing, of another program, in use, read-only, disk full
  4    this program failed
  130  interrupted; each step was done whole or not at all
  141  nobody reads the output any more; nothing is said about that
Of several databases, the highest code counts.";

const EXAMPLES: &str = "\
Examples:
  lash-store import old/session.db session.db   bring over one of lash-sqlite-store
  lash-store inspect session.db                 what is in it, and how large it is
  lash-store verify sessions/                   check everything in all of them
  lash-store export session.db | jq .record     read it with another program";

/// The version of this program, and of the SQLite that it is linked with.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let sqlite = lash_wasm_store::sqlite::version();
    format!("{} (SQLite {sqlite})", env!("CARGO_PKG_VERSION"))
});

fn help(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

/// Looks into the databases of lash-wasm-store, and looks after them.
///
/// A database has one session, or the processes, the host events or the effects of a
/// deployment. Where PATH is a directory, the command is for every database in it, not for
/// those in directories below. Applications may have the databases open meanwhile.
#[derive(Parser)]
#[command(
    name = "lash-store",
    bin_name = "lash-store",
    version = VERSION.as_str(),
    verbatim_doc_comment,
    arg_required_else_help = true,
    after_help = "Begin with `lash-store inspect PATH`. More: `lash-store COMMAND --help`.",
    after_long_help = help(EXAMPLES)
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Write for programs: one JSON object a line, results to standard output and what
    /// failed or was skipped to standard error
    #[arg(long, global = true, verbatim_doc_comment)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Import(Import),
    Inspect(Inspect),
    Verify(Verify),
    Gc(Gc),
    Vacuum(Vacuum),
    Repair(Repair),
    Export(Export),
}

impl Command {
    /// Whether something has to be removed when the command is interrupted.
    pub(crate) fn has_temporary_files(&self) -> bool {
        match self {
            Self::Import(_) => true,
            Self::Export(export) => export.output.is_some(),
            Self::Inspect(_)
            | Self::Verify(_)
            | Self::Gc(_)
            | Self::Vacuum(_)
            | Self::Repair(_) => false,
        }
    }
}

/// Bring over databases that lash-sqlite-store 0.1.0-alpha.46 has written
///
/// SOURCE is only read, and may be in use. DESTINATION must not exist; it appears when it
/// is complete. A directory may exist, if it has no file of the same name. Everything is
/// checked on the way: if something is damaged, every loss is named and nothing is
/// imported, unless --partial is given.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store import old/session.db new/session.db
  lash-store import --partial old/ new/      import what is whole, name the rest"))]
pub(crate) struct Import {
    /// A database of lash-sqlite-store, or a directory of them
    pub(crate) source: PathBuf,

    /// The new database, or a directory for them, which is made if it is not there
    pub(crate) destination: PathBuf,

    /// Import what is whole, and name what is lost
    #[arg(long)]
    pub(crate) partial: bool,
}

/// Show what is in a database: head, counts, sizes, queue, and what gc would free
///
/// It changes nothing.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store inspect session.db
  lash-store inspect --json sessions/ | jq -c '[.path, .kind]'"))]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) databases: Databases,
}

/// Check everything in a database, and list what is wrong
///
/// Every blob against its key, every row against its checksum, every reference, the graph,
/// the queue, the leases, and the structure of the SQLite file. It changes nothing.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store verify session.db
  lash-store verify sessions/ || echo 'look at the list above'"))]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) databases: Databases,
}

/// Remove blobs that nothing refers to
///
/// Only sessions have blobs. Everything that is referred to is read and checked before
/// anything is removed; if any of it is damaged, nothing is.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store gc session.db
  lash-store gc --wait 60 sessions/"))]
pub(crate) struct Gc {
    #[command(flatten)]
    pub(crate) databases: Databases,
}

/// Remove tombstoned nodes, and give unused pages back to the file system
///
/// Pages are given back some at a time, so that applications can write in between.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store vacuum session.db
  lash-store gc sessions/ && lash-store vacuum sessions/"))]
pub(crate) struct Vacuum {
    #[command(flatten)]
    pub(crate) databases: Databases,
}

/// Rebuild what is derived from other rows, where it is corrupt
///
/// Indexes, the row that says which rows there must be, totals and counts. Everything is
/// read first. If anything else is corrupt, it is named and only indexes are rebuilt:
/// restore the file from a backup, or `export` what can be read. Make a copy before.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store repair session.db
  lash-store verify sessions/ || lash-store repair sessions/"))]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) databases: Databases,
}

/// Write everything in a database as JSON, one object a line
///
/// The member "record" of an object says what it is. The first of a database is
/// "database" and the last is "end"; where that is missing, not all could be read, and
/// each "corrupt" says what is left out. All are of the same moment. docs/export.md in the
/// repository describes them.
#[derive(Args)]
#[command(verbatim_doc_comment, after_long_help = help("\
Examples:
  lash-store export session.db | jq -c 'select(.record == \"node\")'
  lash-store export sessions/ --output sessions.jsonl"))]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) databases: Databases,

    /// Write to this file instead of to standard output; it appears when everything
    /// could be read and is in it, and only its owner may read it
    #[arg(long, short, value_name = "FILE", verbatim_doc_comment)]
    pub(crate) output: Option<PathBuf>,

    /// Write the file of --output although not all could be read
    #[arg(long, requires = "output")]
    pub(crate) partial: bool,

    /// Replace the file of --output if it exists
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct Databases {
    /// A database, or a directory of them
    pub(crate) path: PathBuf,

    /// How long to wait for another program that has locked a database
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    pub(crate) wait: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
