//! `lash-store inspect`: what is in a database, and how large it is.

use std::path::Path;

use lash_wasm_store::DatabaseKind;
use lash_wasm_store::inspect::{
    EffectStatistics, FileStatistics, HostEventStatistics, Inspector, ProcessStatistics, Statistics,
};
use serde::Serialize;

use crate::arguments::Inspect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Bar;
use crate::session;
use crate::table::Facts;
use crate::units::{bytes, count, number};

#[derive(Serialize)]
struct Inspected {
    path: String,
    file: FileStatistics,
    #[serde(flatten)]
    statistics: Statistics,
}

pub(crate) async fn run(arguments: Inspect, output: &mut Output) -> Result<(), Failure> {
    let one = async |inspector: Inspector, path: &Path, output: &mut Output| {
        let bar = Bar::new("inspecting", path);
        let inspected = Inspected {
            path: path.display().to_string(),
            file: inspector.file_statistics().await?,
            statistics: inspector.statistics().await?,
        };
        drop(bar);
        if is_damaged(&inspected.statistics) {
            output.end_with(Exit::Problems);
        }
        output.result(&inspected, |output| {
            text(&inspected, inspector.kind(), output)
        })
    };
    arguments.databases.each(output, one).await
}

/// Whether something that is referred to was missing or damaged.
fn is_damaged(statistics: &Statistics) -> bool {
    matches!(statistics, Statistics::Session(session) if session.garbage.is_none())
}

fn text(inspected: &Inspected, kind: DatabaseKind, output: &Output) -> String {
    let mut facts = Facts::default();
    file(&inspected.file, &mut facts);
    match &inspected.statistics {
        Statistics::Session(counted) => session::describe(counted, &mut facts, output),
        Statistics::Processes(counted) => processes(counted, &mut facts),
        Statistics::HostEvents(counted) => host_events(counted, &mut facts),
        Statistics::Effects(counted) => effects(counted, &mut facts),
        _ => {}
    }
    facts.under(&format!("{kind} database"), &inspected.path, output)
}

fn file(file: &FileStatistics, facts: &mut Facts) {
    facts.add(
        "file",
        format!(
            "{}, {} of {}, {} free; schema version {}",
            bytes(file.bytes),
            count(file.pages, "page", "pages"),
            bytes(file.page_bytes),
            number(file.free_pages),
            file.schema_version,
        ),
    );
    facts.add(
        "journal",
        format!(
            "{}, {} next to the file",
            file.journal_mode,
            bytes(file.log_bytes)
        ),
    );
    if !file.open_file_locks {
        facts.add(
            "warning",
            "the file system has no locks of open files; do not copy the database in the \
             process that has it open"
                .to_owned(),
        );
    }
    if file.wal_reset_bug {
        facts.add(
            "warning",
            format!(
                "this program's SQLite, {}, can lose commits (WAL-reset bug); update it",
                file.sqlite_version
            ),
        );
    }
    facts.add(
        "durability",
        "by default synchronous FULL for turns and recorded effects, else NORMAL".to_owned(),
    );
}

fn processes(counted: &ProcessStatistics, facts: &mut Facts) {
    facts.add(
        "processes",
        format!(
            "{} running, {} ended, of which {} can be pruned",
            number(counted.running),
            number(counted.ended),
            number(counted.prunable),
        ),
    );
    facts.add("leases", format!("{} live", number(counted.leased)));
    facts.add(
        "events",
        format!(
            "{}, {}; {}",
            number(counted.events),
            bytes(counted.event_bytes),
            count(counted.pending_wakes, "wake pending", "wakes pending"),
        ),
    );
    facts.add("handles", format!("{} granted", number(counted.handles)));
}

fn host_events(counted: &HostEventStatistics, facts: &mut Facts) {
    facts.add(
        "subscriptions",
        format!(
            "{} enabled, {} disabled",
            number(counted.enabled_subscriptions),
            number(counted.disabled_subscriptions),
        ),
    );
    facts.add(
        "occurrences",
        format!(
            "{}, {} of payloads",
            number(counted.occurrences),
            bytes(counted.payload_bytes),
        ),
    );
    facts.add(
        "deliveries",
        format!(
            "{} started, {} perhaps not",
            number(counted.settled_deliveries),
            number(counted.unsettled_deliveries),
        ),
    );
}

fn effects(counted: &EffectStatistics, facts: &mut Facts) {
    facts.add("scopes", number(counted.scopes));
    facts.add(
        "effects",
        format!(
            "{} completed, {} failed, {} recorded",
            number(counted.completed),
            number(counted.failed),
            bytes(counted.bytes),
        ),
    );
    facts.add(
        "claims",
        format!(
            "{} live, {} expired, {} given back",
            number(counted.claimed),
            number(counted.expired),
            number(counted.released),
        ),
    );
}
