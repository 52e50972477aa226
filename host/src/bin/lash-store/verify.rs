//! `lash-store verify`: checks everything and lists what is wrong.

use lash_wasm_store::inspect::{DatabaseKind, Verification};
use serde::Serialize;

use crate::arguments::Verify;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::targets;
use crate::units::{bytes, count};

#[derive(Serialize)]
struct Verified {
    path: String,
    kind: DatabaseKind,
    sound: bool,
    #[serde(flatten)]
    verification: Verification,
}

pub(crate) async fn run(arguments: Verify, output: &mut Output) -> Result<(), Failure> {
    targets::each(&arguments.path, output, async |inspector, path, output| {
        let bar = Bar::new("verifying", path);
        let verification = inspector
            .verify(|progress| bar.set(progress.done_bytes, progress.total_bytes))
            .await?;
        drop(bar);
        let verified = Verified {
            path: path.display().to_string(),
            kind: inspector.kind(),
            sound: verification.problems.is_empty(),
            verification,
        };
        if !verified.sound {
            output.end_with(Exit::Problems);
        }
        output.result(&verified, |output| text(&verified, output))
    })
    .await
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
    let found = problems.len() + usize::try_from(*omitted_problems).unwrap_or(usize::MAX);
    let verdict = if verified.sound {
        output.good("sound")
    } else {
        output.bad(count(found, "problem", "problems"))
    };
    let mut text = format!(
        "{}  {verdict}  {} database, {rows} rows in {}, {}\n",
        output.bold(&verified.path),
        verified.kind,
        count(tables.len(), "table", "tables"),
        bytes(size),
    );
    let table_width = problems.iter().map(|problem| problem.table.len()).max();
    let key_width = problems.iter().map(|problem| problem.key.len()).max();
    for problem in problems {
        text.push_str(&format!(
            "  {:table_width$}  {:key_width$}  {}\n",
            problem.table,
            problem.key,
            problem.reason,
            table_width = table_width.unwrap_or(0),
            key_width = key_width.unwrap_or(0).min(72),
        ));
    }
    if *omitted_problems > 0 {
        text.push_str(&format!("  and {omitted_problems} more\n"));
    }
    text
}
