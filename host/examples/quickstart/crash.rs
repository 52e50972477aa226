//! A process that is killed while it commits, and what is found afterwards.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lash_core::{
    MessageRole, RuntimePersistence, RuntimeSessionState, refresh_persisted_session_state,
};
use lash_wasm_store::SqliteSessionStoreFactory;

use crate::session::{append, message};
use crate::transcript::Said;
use crate::{open, print};

/// The hidden first argument of the process that will be killed.
pub(crate) const CHILD: &str = "--commit-until-killed";

/// How many processes are killed.
const KILLS: usize = 3;

/// How many commits each acknowledges at least before it is killed.
const ACKNOWLEDGED: usize = 20;

/// The process that will be killed: it commits one message after the other, and
/// prints the revision of each after it was acknowledged.
pub(crate) async fn commit_until_killed(root: &Path, session_id: &str) -> Result<()> {
    let factory = SqliteSessionStoreFactory::new(root);
    let store = open(&factory, session_id).await?;
    let mut state = RuntimeSessionState::default();
    refresh_persisted_session_state(&*store, &mut state).await?;
    let mut out = std::io::stdout().lock();
    loop {
        let known = state.session_graph.nodes.len();
        let said = Said {
            role: MessageRole::Assistant,
            content: format!("still working, note {known}"),
        };
        state.append_active_conversation_messages(&[message(known, 0, &said)]);
        state.set_execution_state_snapshot(Some(format!("step {known} ").repeat(400).into_bytes()));
        let result = store.commit_runtime_state(append(&state, known)).await?;
        writeln!(
            out,
            "{} {}",
            result.head_revision,
            state
                .session_graph
                .leaf_node_id
                .as_deref()
                .unwrap_or_default()
        )?;
        out.flush()?;
        state.apply_persisted_commit_result(result);
    }
}

/// What the killed processes had acknowledged and what was found.
pub(crate) struct Survived {
    pub(crate) acknowledged: usize,
    pub(crate) found: usize,
    pub(crate) unacknowledged: u64,
}

/// Kills processes in the middle of committing, and looks for every commit that
/// they had acknowledged.
pub(crate) async fn kill(root: &Path, session_id: &str) -> Result<Survived> {
    let mut survived = Survived {
        acknowledged: 0,
        found: 0,
        unacknowledged: 0,
    };
    for round in 1..=KILLS {
        let acknowledged = run_and_kill(root, session_id)?;
        let (last, _) = acknowledged
            .last()
            .context("the process acknowledged nothing")?;

        let factory = SqliteSessionStoreFactory::new(root);
        let store = open(&factory, session_id).await?;
        let head = store
            .try_load_session_head()
            .await?
            .context("the session is gone")?;
        ensure!(
            head.head_revision == *last || head.head_revision == *last + 1,
            "revision {last} was acknowledged and revision {} is stored",
            head.head_revision
        );
        let mut found = 0;
        for (_, node_id) in &acknowledged {
            found += usize::from(store.load_node(node_id).await?.is_some());
        }
        ensure!(
            found == acknowledged.len(),
            "{} commits were acknowledged, {found} were found",
            acknowledged.len()
        );
        let lost = head.head_revision - last;
        print::row(
            &format!("kill {round}"),
            &format!(
                "acknowledged {}, found {found}{}",
                acknowledged.len(),
                if lost > 0 {
                    " and one that was stored, but not yet acknowledged"
                } else {
                    ""
                }
            ),
        );
        survived.acknowledged += acknowledged.len();
        survived.found += found;
        survived.unacknowledged += lost;
    }
    Ok(survived)
}

/// Starts a process, kills it at a random moment, and returns what it had
/// acknowledged: revisions and the node of each.
fn run_and_kill(root: &Path, session_id: &str) -> Result<Vec<(u64, String)>> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .arg(CHILD)
        .arg(root)
        .arg(session_id)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a second process")?;
    let pipe = child
        .stdout
        .take()
        .context("the second process has no output")?;
    let mut lines = BufReader::new(pipe).lines();
    let mut acknowledged = Vec::new();
    let random = getrandom::u64().unwrap_or_default();
    let enough = ACKNOWLEDGED + usize::try_from(random % 20).unwrap_or(0);
    while acknowledged.len() < enough {
        match lines.next() {
            Some(line) => acknowledged.push(acknowledgement(&line?)?),
            None => break,
        }
    }
    // Somewhere within the next commits.
    std::thread::sleep(Duration::from_micros(random % 8000));
    child.kill().context("cannot kill the second process")?;
    child.wait()?;
    // What it had printed before it was killed is acknowledged too.
    for line in lines {
        match acknowledgement(&line?) {
            Ok(line) => acknowledged.push(line),
            // The last line may be cut off.
            Err(_) => break,
        }
    }
    Ok(acknowledged)
}

fn acknowledgement(line: &str) -> Result<(u64, String)> {
    let (revision, node_id) = line
        .split_once(' ')
        .with_context(|| format!("the second process printed {line:?}"))?;
    Ok((revision.parse()?, node_id.to_owned()))
}
