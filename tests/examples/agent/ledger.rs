//! What the agent really did, one line a deed, so that deeds can be counted after
//! a crash; and the places where it can be held until somebody kills it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

/// The file with a line for each call that a provider would have billed.
const CALLS: &str = "calls.txt";

/// The file with the notes of the user.
const NOTES: &str = "notes.txt";

/// Files in the directory of the agent that only grow. Clones belong together.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    root: Arc<Path>,
    hold: Option<usize>,
    passed: Arc<AtomicUsize>,
}

impl Ledger {
    /// The ledger of an agent.
    pub(crate) fn new(root: &Path) -> Self {
        Self::with_hold(root, None)
    }

    /// The ledger of an agent that stays at the `hold`th place that it passes,
    /// counted from one.
    pub(crate) fn with_hold(root: &Path, hold: Option<usize>) -> Self {
        Self {
            root: root.into(),
            hold,
            passed: Arc::default(),
        }
    }

    /// The provider is called.
    pub(crate) async fn called(&self, asked: &str) -> Result<()> {
        self.append(CALLS, asked)?;
        self.pass("in a call of the provider").await;
        Ok(())
    }

    /// A note is taken.
    pub(crate) async fn noted(&self, note: &str) -> Result<()> {
        self.append(NOTES, note)?;
        self.pass("in the tool add_note").await;
        Ok(())
    }

    /// How often the provider was called so far.
    pub(crate) fn calls(&self) -> Result<usize> {
        Ok(self.read(CALLS)?.lines().count())
    }

    /// The notes so far.
    pub(crate) fn notes(&self) -> Result<Vec<String>> {
        Ok(self.read(NOTES)?.lines().map(str::to_owned).collect())
    }

    /// A place where the agent may be held for good. What it was about to do is
    /// done by then, but nobody has recorded it: the worst moment for a crash.
    pub(crate) async fn pass(&self, place: &str) {
        let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if self.hold == Some(number) {
            println!("{place}");
            std::future::pending::<()>().await;
        }
    }

    fn append(&self, name: &str, line: &str) -> Result<()> {
        let write = || {
            let path = self.root.join(name);
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(format!("{}\n", line.replace('\n', " ")).as_bytes())?;
            // A kill takes nothing of what is written, but a power cut may.
            file.sync_all()
        };
        write().with_context(|| format!("cannot write {name}"))
    }

    fn read(&self, name: &str) -> Result<String> {
        match std::fs::read_to_string(self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read.with_context(|| format!("cannot read {name}")),
        }
    }
}
