//! Two lives of one agent: a session with tools and a background process, and the
//! same session after everything was closed and opened again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::deployment::Deployment;
use crate::ledger::Ledger;
use crate::{background, print};

/// The session of both lives.
const SESSION: &str = "notebook";

/// The first letter, of four words.
const LETTER: &str = "Dear friend, come soon";

/// What the first life leaves to be found.
pub(crate) struct Left {
    messages: usize,
    process_id: String,
    result: Value,
}

pub(crate) async fn first(root: &Path) -> Result<Left> {
    print::section("A session with tools");
    let agent = Deployment::open(root, Ledger::new(root)).await?;
    let session = agent.session(SESSION).await?;
    let asked = "Note: buy milk; call Ada back";
    let said = agent.turn(&session, "turn-1", asked).await?;
    expect("turn 1", &said, "2 notes")?;
    ensure!(
        agent.ledger.notes()? == ["buy milk", "call Ada back"],
        "other notes were taken"
    );
    let asked = "How long are my notes?";
    let said = agent.turn(&session, "turn-2", asked).await?;
    expect("turn 2", &said, "5 words")?;

    print::section("A process in the background");
    background::subscribe(&agent, &session).await?;
    let process_id = background::deliver(&agent, "letter-1", LETTER)
        .await?
        .context("letter 1 started no process")?;
    print::row("letter 1", &format!("started {}", short(&process_id)));
    let result = background::result(&agent, &process_id).await?;
    expect("its result", &result.to_string(), r#""words":4"#)?;
    let said = background::woken_turn(&agent, &session, "wake-1").await?;
    expect("turn 3", &said, r#""words":4"#)?;
    let messages = session.read_view().messages().len();
    print::row("the session", &format!("{messages} messages"));
    Ok(Left {
        messages,
        process_id,
        result,
    })
}

pub(crate) async fn second(root: &Path, left: &Left) -> Result<()> {
    print::section("Everything closed and opened again");
    let agent = Deployment::open(root, Ledger::new(root)).await?;
    let session = agent.session(SESSION).await?;
    let messages = session.read_view().messages().len();
    let expected = format!("{} messages", left.messages);
    expect("the session", &format!("{messages} messages"), &expected)?;
    let result = background::result(&agent, &left.process_id).await?;
    expect("letter 1", &result.to_string(), &left.result.to_string())?;
    let asked = "What did I tell you first?";
    let said = agent.turn(&session, "turn-4", asked).await?;
    expect("turn 4", &said, "buy milk")?;

    let again = background::deliver(&agent, "letter-1", LETTER).await?;
    ensure!(again.is_none(), "letter 1 started another process");
    print::row("letter 1", "delivered again: starts nothing");
    // Nobody subscribed in this life.
    let process_id = background::deliver(&agent, "letter-2", "Where are you")
        .await?
        .context("letter 2 started no process")?;
    print::row("letter 2", &format!("started {}", short(&process_id)));
    let result = background::result(&agent, &process_id).await?;
    expect("its result", &result.to_string(), r#""words":3"#)?;
    let said = background::woken_turn(&agent, &session, "wake-2").await?;
    expect("turn 5", &said, r#""words":3"#)
}

/// Prints what is found, which must have something in it.
fn expect(label: &str, found: &str, expected: &str) -> Result<()> {
    ensure!(
        found.contains(expected),
        "{label}: {found:?} is found, and {expected:?} was expected"
    );
    print::row(label, found);
    Ok(())
}

/// The ids of processes end in a long hash.
fn short(process_id: &str) -> &str {
    process_id.get(..30).unwrap_or(process_id)
}
