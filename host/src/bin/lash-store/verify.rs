//! `lash-store verify`: checks everything and lists what is wrong.

use std::fmt::Write;
use std::path::Path;

use lash_wasm_store::DatabaseKind;
use lash_wasm_store::inspect::{Inspector, Problem, Verification};
use serde::Serialize;

use crate::arguments::Verify;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::units::{bytes, count, number, plain};

#[derive(Serialize)]
struct Verified {
    path: String,
    kind: DatabaseKind,
    sound: bool,
    #[serde(flatten)]
    verification: Verification,
}

pub(crate) async fn run(arguments: Verify, output: &mut Output) -> Result<(), Failure> {
    let one = async |inspector: Inspector, path: &Path, output: &mut Output| {
        let bar = Bar::new("verifying", path);
        let verification = inspector.verify().await?;
        drop(bar);
        let verified = Verified {
            path: path.display().to_string(),
            kind: inspector.kind(),
            sound: verification.is_sound(),
            verification,
        };
        if !verified.sound {
            output.end_with(Exit::Problems);
        }
        output.result(&verified, |output| text(&verified, output))
    };
    arguments.databases.each(output, one).await
}

fn text(verified: &Verified, output: &Output) -> String {
    let Verification {
        tables,
        problems,
        omitted_problems,
        ..
    } = &verified.verification;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let size: u64 = tables.iter().map(|table| table.bytes).sum();
    let verdict = if verified.sound {
        output.good("sound")
    } else {
        let found = (problems.len() as u64).saturating_add(*omitted_problems);
        output.bad(count(found, "problem", "problems"))
    };
    let mut text = format!(
        "{}  {verdict}; {} database, {} in {}, {}\n",
        output.bold(plain(&verified.path)),
        verified.kind,
        count(rows, "row", "rows"),
        count(tables.len() as u64, "table", "tables"),
        bytes(size),
    );
    list(&mut text, problems, *omitted_problems);
    text
}

/// Adds a line for each problem.
pub(crate) fn list(text: &mut String, problems: &[Problem], omitted: u64) {
    for problem in problems {
        let _ = writeln!(text, "  {}", plain(&problem.to_string()));
    }
    if omitted > 0 {
        let _ = writeln!(text, "  and {} more", number(omitted));
    }
}
