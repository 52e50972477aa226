//! A process that is killed in the middle of a turn, and another one that takes
//! the turn up again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lash::LashSession;

use crate::deployment::Deployment;
use crate::ledger::Ledger;
use crate::provider::signature;
use crate::{live, print};

/// The hidden first argument of the process that will be killed.
pub(crate) const CHILD: &str = "--turn-until-killed";

const SESSION: &str = "crashes";

/// The turn: a call of the provider, a tool, a call, a tool, a call; and at the end
/// a commit. The provider is called once more than there are notes.
const ASKED: &str = "Note: first; second";
const CALLS: usize = 3;
const NOTES: usize = 2;

/// The places where a process is held and killed: in each of the effects, before
/// the commit, and after it.
const BEFORE_COMMIT: usize = CALLS + NOTES + 1;
const AFTER_COMMIT: usize = BEFORE_COMMIT + 1;

/// The process that will be killed: it runs a turn up to a place.
pub(crate) async fn turn_until_killed(root: &Path, place: &str) -> Result<()> {
    let ledger = Ledger::with_hold(root, Some(place.parse()?));
    let agent = Deployment::open(root, ledger.clone()).await?;
    let session = agent.session(SESSION).await?;
    agent.turn(&session, &turn_id(place), ASKED).await?;
    ledger.pass("after the commit of the turn").await;
    bail!("nobody killed this process at place {place}")
}

/// Kills a process at each place, and takes up its turn.
pub(crate) fn kill(root: &Path) -> Result<()> {
    print::section("Killed in the middle of a turn: call, note, call, note, call, commit");
    for place in 1..=AFTER_COMMIT {
        let start = done(root)?;
        let (process, held) = run_and_kill(root, place)?;
        let killed = done(root)?;
        let began = Instant::now();
        live(take_up(root, place, process))?;
        let took = began.elapsed().as_millis();
        let end = done(root)?;

        // The effect of this place was done too, but is not recorded.
        let first = (killed.0 - start.0, killed.1 - start.1);
        let second = (end.0 - killed.0, end.1 - killed.1);
        let effects = place.min(CALLS + NOTES);
        let recorded = place.min(BEFORE_COMMIT) - 1;
        ensure!(
            first == (effects.div_ceil(2), effects / 2)
                && second == (CALLS - recorded.div_ceil(2), NOTES - recorded / 2),
            "killed {held}: {first:?} calls and notes until then, {second:?} afterwards"
        );
        print::row(
            &format!("kill {place}"),
            &format!(
                "{held:<30} {} calls, {} notes; then {} calls, {} notes in {took} ms",
                first.0, first.1, second.0, second.1
            ),
        );
    }
    print::row(
        "so",
        "a recorded effect was never done again, the one under way was",
    );
    Ok(())
}

/// How often the provider was called, and how many notes were taken.
fn done(root: &Path) -> Result<(usize, usize)> {
    let ledger = Ledger::new(root);
    Ok((ledger.calls()?, ledger.notes()?.len()))
}

/// Finishes the turn of a killed process, and looks for it in the session.
async fn take_up(root: &Path, place: usize, killed: u32) -> Result<()> {
    let agent = Deployment::open(root, Ledger::new(root)).await?;
    let session = agent.session(SESSION).await?;
    // To be seen before: the effects of a committed turn would all be done again,
    // as they are recorded for the number of the turn, and then its commit fails.
    let committed = session.read_view().turn_index() == place;
    ensure!(
        committed == (place == AFTER_COMMIT),
        "the turn of place {place} is committed: {committed}"
    );
    if !committed {
        let said = agent
            .turn(&session, &turn_id(&place.to_string()), ASKED)
            .await?;
        ensure!(said == "I took 2 notes.", "the agent said: {said}");
    }

    let calls = tool_calls(&session);
    ensure!(
        calls.len() == NOTES * place,
        "{} tool calls are in the session after {place} turns",
        calls.len()
    );
    // Answers that the killed process had recorded are in the session under its
    // name: nobody asked for them again.
    let recorded = (place / 2).min(NOTES);
    let found = calls
        .iter()
        .filter(|call| call.ends_with(&signature(killed)))
        .count();
    ensure!(
        found == recorded,
        "{found} answers of the killed process are in the session, expected {recorded}"
    );
    Ok(())
}

/// The ids of the tool calls in a session.
fn tool_calls(session: &LashSession) -> Vec<String> {
    let view = session.read_view();
    let parts = view.messages().iter().flat_map(|message| &*message.parts);
    parts
        .filter(|part| part.kind == lash_core::PartKind::ToolCall)
        .filter_map(|part| part.tool_call_id.clone())
        .collect()
}

/// Starts a process, kills it at a place, and answers its id and where it was.
fn run_and_kill(root: &Path, place: usize) -> Result<(u32, String)> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = Command::new(program)
        .arg(CHILD)
        .arg(root)
        .arg(place.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a second process")?;
    let pipe = child
        .stdout
        .take()
        .context("the second process has no output")?;
    let held = BufReader::new(pipe).lines().next();
    child.kill().context("cannot kill the second process")?;
    let status = child.wait()?;
    ensure!(
        status.code().is_none(),
        "the second process ended by {status}"
    );
    let held = held.context("the second process ended before it was killed")??;
    Ok((child.id(), held))
}

fn turn_id(place: &str) -> String {
    format!("killed-at-{place}")
}
