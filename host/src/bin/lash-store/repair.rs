//! `lash-store repair`: rebuilds what is derived from other rows.

use std::path::Path;

use lash_wasm_store::DatabaseKind;
use lash_wasm_store::inspect::{self, Inspector};
use serde::Serialize;

use crate::arguments::Repair;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::reclaim::Database;
use crate::units::{count, plain};
use crate::verify::list;

#[derive(Serialize)]
struct Repaired {
    path: String,
    kind: DatabaseKind,
    sound: bool,
    #[serde(flatten)]
    repair: inspect::Repair,
}

pub(crate) async fn run(arguments: Repair, output: &mut Output) -> Result<(), Failure> {
    let builder = || arguments.databases.builder();
    let one = async |inspector: Inspector, path: &Path, output: &mut Output| {
        let kind = inspector.kind();
        drop(inspector);
        let bar = Bar::new("repairing", path);
        let repair = Database::open(builder(), path, kind)
            .await?
            .repair()
            .await?;
        drop(bar);
        let repaired = Repaired {
            path: path.display().to_string(),
            kind,
            sound: repair.is_sound(),
            repair,
        };
        if !repaired.sound {
            output.end_with(Exit::Problems);
        }
        output.result(&repaired, |output| text(&repaired, output))
    };
    arguments.databases.each(output, one).await
}

fn text(repaired: &Repaired, output: &Output) -> String {
    let inspect::Repair {
        rebuilt,
        problems,
        omitted_problems,
        ..
    } = &repaired.repair;
    let rebuilt_count = count(rebuilt.len() as u64, "problem", "problems");
    let verdict = match (repaired.sound, rebuilt.is_empty()) {
        (true, true) => output.good("sound"),
        (true, false) => output.good(format!("{rebuilt_count} repaired")),
        (false, _) => {
            let left = (problems.len() as u64).saturating_add(*omitted_problems);
            let left = count(left, "problem", "problems");
            output.bad(format!("{left} left, {rebuilt_count} repaired"))
        }
    };
    let mut text = format!(
        "{}  {verdict}; {} database\n",
        output.bold(plain(&repaired.path)),
        repaired.kind
    );
    list(&mut text, problems, *omitted_problems);
    if !rebuilt.is_empty() {
        text.push_str("  repaired:\n");
        list(&mut text, rebuilt, 0);
    }
    text
}
