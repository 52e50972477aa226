//! The program `lash-store`, run as a whole on files that the library has written.

mod bad_input;
mod directory;
mod help;
mod import;
mod interrupted;
mod session;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lash_core::{
    AttachmentId, AttachmentIntent, AttachmentManifest, RuntimeCommit, RuntimePersistence,
};
use lash_wasm_store::{BlobArtifactDescriptor, Store};
use lash_wasm_store_tests::fixtures::{SESSION, append, chain, full_checkpoint, usage, work};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lash-store-tested");

/// The program, about to be run.
fn program<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The program, about to be run with a limit on the size of files, which stands for a full
/// disk.
#[cfg(unix)]
fn limited<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    // Without the trap the process would be killed instead. The component itself is in a
    // file in memory, to which the limit applies as well.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", PROGRAM]);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a run of the program left.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// A command on a path.
    fn on(command: &str, path: &Path) -> Self {
        Self::of(program([command]).arg(path))
    }

    /// A command on a path, for programs.
    fn json(command: &str, path: &Path) -> Self {
        Self::of(program(["--json", command]).arg(path))
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// It did what it should, and had nothing to complain about.
    #[track_caller]
    fn succeeded(self) -> Self {
        let run = self.ended(0);
        assert_eq!(run.stderr, "");
        run
    }

    /// Standard output, a JSON value a line.
    fn values(&self) -> Vec<Value> {
        values(&self.stdout)
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn values(lines: &str) -> Vec<Value> {
    let value = |line: &str| serde_json::from_str(line).unwrap();
    lines.lines().map(value).collect()
}

/// A session with something of everything, and a blob that nothing refers to; closed.
async fn fill(path: &Path) {
    let store = Store::open(path).await.unwrap();
    let mut revision = None;
    for turn in 0..3 {
        let commit = RuntimeCommit {
            checkpoint: full_checkpoint(turn),
            ..append(revision, chain(turn * 10, 10))
        };
        let committed = store.commit_runtime_state(commit).await.unwrap();
        revision = Some(committed.head_revision);
    }
    store
        .append_usage_deltas(&[usage("turn", "model", [1, 2, 3, 4])])
        .await;
    for text in ["now", "later"] {
        store.enqueue_queued_work(work(text)).await.unwrap();
    }
    let intent = AttachmentIntent {
        attachment_id: AttachmentId::new("a"),
        session_id: SESSION.to_owned(),
        canonical_uri: "file:a".to_owned(),
        intent_at_epoch_ms: 7,
    };
    store.record_intent(intent).unwrap();
    let loose = "nothing refers to it ".repeat(1000);
    store
        .try_put_artifact_blob(
            BlobArtifactDescriptor::tool_state_snapshot(),
            loose.as_bytes(),
        )
        .await
        .unwrap();
}
