//! Records a transcript as a lash session and shows what the store promises.
//!
//! ```text
//! cargo run --example quickstart [-- DIR [TRANSCRIPT]]
//! ```
//!
//! `DIR` is `./lash-data` by default; every run records one more session there.
//! `TRANSCRIPT` has one JSON object a line: `{"role": "user", "content": "…"}`,
//! with the roles user, assistant, system and tool.

mod crash;
mod print;
mod session;
mod transcript;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lash_core::{
    AttachmentManifest, MessageRole, RuntimePersistence, SessionReadScope, SessionRelation,
    SessionStoreCreateRequest, StoreError,
};
use lash_wasm_store::{SqliteSessionStoreFactory, Store};

use session::{Recorder, closed_bytes, stored_bytes};
use transcript::{Said, Turn};

const USAGE: &str = "usage: quickstart [DIR [TRANSCRIPT]]";

/// Why the program ends early.
pub(crate) enum Failure {
    /// The arguments or the transcript are wrong: exit code 2.
    Input(String),
    /// Something failed: exit code 1.
    Run(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Input(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        Err(Failure::Run(error)) => {
            eprintln!("quickstart failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let (root, transcript) = match *arguments.as_slice() {
        [first, root, session] if first == Path::new(crash::CHILD) => {
            let session = session.to_str().context("the session is not UTF-8")?;
            return Ok(crash::commit_until_killed(root, session).await?);
        }
        [first] if first == Path::new("--help") || first == Path::new("-h") => {
            println!("{USAGE}");
            return Ok(());
        }
        [first, ..] if first.as_os_str().as_encoded_bytes().starts_with(b"-") => {
            let first = first.display();
            return Err(Failure::Input(format!("unknown option {first}; {USAGE}")));
        }
        [] => (PathBuf::from("lash-data"), None),
        [root] => (root.to_path_buf(), None),
        [root, transcript] => (root.to_path_buf(), Some(transcript)),
        _ => return Err(Failure::Input(format!("too many arguments; {USAGE}"))),
    };
    if root.exists() && !root.is_dir() {
        let root = root.display();
        return Err(Failure::Input(format!(
            "{root} is not a directory; {USAGE}"
        )));
    }
    let (name, turns) = transcript::read(transcript)?;
    Ok(account(&root, &name, &turns).await?)
}

async fn account(root: &Path, name: &str, turns: &[Turn]) -> Result<()> {
    let factory = SqliteSessionStoreFactory::new(root);
    let session_id = fresh_session(&factory)?;
    let path = factory.path_for_session(&session_id);

    print::section("Recording");
    print::row("transcript", name);
    print::row("session", &session_id);
    print::row("file", &path.display().to_string());
    let started = Instant::now();
    let store = open(&factory, &session_id).await?;
    print::row(
        "opened in",
        &format!("{} ms", started.elapsed().as_millis()),
    );
    let files = root.join(format!("{session_id}-files"));
    let mut recorder = Recorder::new(Arc::clone(&store), &session_id, files)?;
    for turn in turns {
        recorder.record(turn).await?;
    }
    let figures = &recorder.figures;
    print::row(
        "committed",
        &format!(
            "{} turns, {} nodes, {} of text, {} tokens",
            figures.turns,
            figures.nodes,
            print::bytes(figures.content_bytes as u64),
            figures.tokens
        ),
    );
    print::row(
        "beside it",
        &format!(
            "{} files of {} in all, {} queued messages, each completed by its turn",
            figures.files,
            print::bytes(figures.file_bytes as u64),
            figures.batches
        ),
    );
    print::row("a commit took", &print::times(&figures.commits));
    ensure!(
        store.list_queued_work(&session_id).await?.is_empty()
            && store.list_uncommitted(u64::MAX)?.is_empty(),
        "work or files are left that no commit took over"
    );

    replay(&store, &recorder, &path).await?;
    race(&factory, &recorder, &session_id).await?;
    let blobs = recorder.figures.blobs.clone();
    let checkpoints = recorder.figures.checkpoints.clone();
    // Closing the last handle copies the log into the file.
    drop((recorder, store));

    print::section("Killing processes that commit");
    let survived = crash::kill(root, &session_id).await?;
    print::row(
        "in all",
        &format!(
            "acknowledged {}, found {}, lost {}; found beyond that {}",
            survived.acknowledged,
            survived.found,
            survived.acknowledged - survived.found,
            survived.unacknowledged
        ),
    );

    let store = open(&factory, &session_id).await?;
    verify(&store, &blobs, &checkpoints).await?;
    drop(store);
    collect(&factory, &session_id).await?;
    println!();
    Ok(())
}

/// A session that does not exist yet, so that every run records its own.
fn fresh_session(factory: &SqliteSessionStoreFactory) -> Result<String> {
    (1..)
        .map(|number| format!("quickstart-{number}"))
        .find(|session_id| !factory.path_for_session(session_id).exists())
        .context("there are too many sessions")
}

/// Opens a session, and creates it if it does not exist.
pub(crate) async fn open(
    factory: &SqliteSessionStoreFactory,
    session_id: &str,
) -> Result<Arc<Store>> {
    Ok(factory
        .try_create_store(&SessionStoreCreateRequest {
            session_id: session_id.to_owned(),
            relation: SessionRelation::Root,
            policy: session::policy()?,
        })
        .await?)
}

/// The same turn sent twice, as after a lost answer, is stored once.
async fn replay(store: &Store, recorder: &Recorder, path: &Path) -> Result<()> {
    print::section("Sending the last turn again");
    let before = snapshot(store).await?;
    let bytes = stored_bytes(path);
    let (commit, result) = recorder.last()?;
    let again = store.commit_runtime_state(commit.clone()).await?;
    ensure!(
        again.head_revision == result.head_revision
            && again.checkpoint_ref == result.checkpoint_ref
            && snapshot(store).await? == before
            && stored_bytes(path) == bytes,
        "sending a turn again changed something"
    );
    print::row("answer", &format!("revision {} again", again.head_revision));
    print::row(
        "written",
        &format!(
            "nothing: still {} nodes, {} tokens, {}",
            before.nodes, before.tokens, "no byte in the file or its log"
        ),
    );
    Ok(())
}

/// What a reader sees of a session.
#[derive(PartialEq)]
struct Snapshot {
    revision: u64,
    leaf: Option<String>,
    nodes: usize,
    tokens: i64,
}

async fn snapshot(store: &Store) -> Result<Snapshot> {
    let read = store
        .load_session(SessionReadScope::FullGraph)
        .await?
        .context("the session is gone")?;
    Ok(Snapshot {
        revision: read.head_revision,
        leaf: read.graph.leaf_node_id.clone(),
        nodes: read.graph.nodes.len(),
        tokens: read.token_ledger.iter().map(|row| row.usage.total()).sum(),
    })
}

/// Two writers that saw the same head: one commits, the other learns it.
async fn race(
    factory: &SqliteSessionStoreFactory,
    recorder: &Recorder,
    session_id: &str,
) -> Result<()> {
    print::section("Two writers, one head");
    let said = |name: &str| Said {
        role: MessageRole::Assistant,
        content: format!("A note of writer {name}."),
    };
    let first = open(factory, session_id).await?;
    let second = open(factory, session_id).await?;
    let (a, b) = tokio::join!(
        first.commit_runtime_state(recorder.next(1001, &said("A"))),
        second.commit_runtime_state(recorder.next(1002, &said("B"))),
    );
    let (winner, won, lost) = match (a, b) {
        (Ok(won), Err(lost)) => ("A", won, lost),
        (Err(lost), Ok(won)) => ("B", won, lost),
        (Ok(_), Ok(_)) => bail!("both writers won"),
        (Err(error), Err(_)) => return Err(error.into()),
    };
    let StoreError::HeadRevisionConflict { expected, actual } = lost else {
        return Err(lost.into());
    };
    print::row(
        &format!("writer {winner}"),
        &format!("committed revision {}", won.head_revision),
    );
    print::row(
        if winner == "A" {
            "writer B"
        } else {
            "writer A"
        },
        &format!(
            "HeadRevisionConflict: expected revision {}, found {actual}; wrote nothing",
            expected.unwrap_or_default()
        ),
    );
    Ok(())
}

/// Reads everything once more. The store checks each row and each blob while it
/// reads, and returns an error if one is not what was written.
async fn verify(
    store: &Store,
    blobs: &[lash_core::BlobRef],
    checkpoints: &[lash_core::BlobRef],
) -> Result<()> {
    print::section("Reading it all back");
    let head = snapshot(store).await?;
    let path = store
        .load_session(SessionReadScope::ActivePath { leaf_node_id: None })
        .await?
        .context("the session is gone")?;
    ensure!(
        path.graph.leaf_node_id == head.leaf && path.graph.nodes.len() == head.nodes,
        "the path to the leaf does not hold the whole session"
    );
    print::row(
        "session",
        &format!(
            "revision {}, {} nodes, {} on the path from the root to the leaf",
            head.revision,
            head.nodes,
            path.graph.nodes.len()
        ),
    );
    let mut bytes = 0;
    for blob in blobs {
        let content = store.try_get_blob(blob).await?;
        bytes += content
            .with_context(|| format!("blob {blob} is gone"))?
            .len() as u64;
    }
    for checkpoint in checkpoints {
        let checkpoint = store.try_get_checkpoint(checkpoint).await?;
        checkpoint.context("a checkpoint is gone")?;
    }
    print::row(
        "blobs",
        &format!(
            "{} of the recorded turns agree with their hashes, {} unpacked",
            blobs.len(),
            print::bytes(bytes)
        ),
    );
    print::row(
        "checkpoints",
        &format!("{}, each with its snapshots", checkpoints.len()),
    );
    Ok(())
}

/// Removes what no head refers to any more.
async fn collect(factory: &SqliteSessionStoreFactory, session_id: &str) -> Result<()> {
    print::section("Collecting garbage");
    let path = factory.path_for_session(session_id);
    let bytes = closed_bytes(&path).await;
    let store = open(factory, session_id).await?;
    let before = snapshot(&store).await?;
    let report = store.try_gc_unreachable().await?;
    ensure!(
        snapshot(&store).await? == before,
        "collecting garbage changed the session"
    );
    drop(store);
    print::row(
        "blobs",
        &format!(
            "{} removed, {} kept",
            report.deleted_blob_count, report.retained_blob_count
        ),
    );
    print::row(
        "the file",
        &format!(
            "{} before, {} after, and the session is the same",
            print::bytes(bytes),
            print::bytes(closed_bytes(&path).await)
        ),
    );
    Ok(())
}
