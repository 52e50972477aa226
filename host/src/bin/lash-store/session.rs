//! What `inspect` says about a session.

use lash_wasm_store::inspect::{BlobKind, BlobSizes, HeadStatistics, SessionStatistics};

use crate::output::Output;
use crate::table::Facts;
use crate::units::{bytes, count, moment, number, percent_smaller, plain};

pub(crate) fn describe(counted: &SessionStatistics, facts: &mut Facts, output: &Output) {
    match &counted.head {
        Some(head) => describe_head(head, facts),
        None => facts.add("head", "none, because nothing was committed".to_owned()),
    }
    facts.add(
        "graph",
        format!(
            "{}, {} of the user, {}; {} tombstoned, which vacuum removes",
            count(counted.nodes, "node", "nodes"),
            count(counted.prompts, "message", "messages"),
            bytes(counted.node_bytes),
            number(counted.tombstoned_nodes),
        ),
    );
    describe_queue(counted, facts);
    facts.add(
        "attachments",
        format!(
            "{} committed, {} not{}",
            number(counted.attachments.committed),
            number(counted.attachments.uncommitted),
            (counted.attachments.oldest_uncommitted_at_ms).map_or_else(String::new, |ms| format!(
                "; the oldest of these recorded {}",
                moment(ms)
            )),
        ),
    );
    facts.add(
        "records",
        format!(
            "{}, {}, {}",
            count(counted.turns, "turn", "turns"),
            count(counted.usage_entries, "usage entry", "usage entries"),
            count(counted.artifacts, "artifact", "artifacts"),
        ),
    );
    describe_blobs(&counted.blobs, facts);
    facts.add(
        "gc frees",
        match &counted.garbage {
            Some(garbage) => format!(
                "{}, {}",
                count(garbage.blobs, "blob", "blobs"),
                bytes(garbage.stored_bytes),
            ),
            None => output
                .bad("nothing, because something that is referred to is damaged; verify names it"),
        },
    );
}

fn describe_head(head: &HeadStatistics, facts: &mut Facts) {
    facts.add(
        "head",
        format!(
            "session {}, revision {}, {}",
            plain(&head.session_id),
            number(head.revision),
            bytes(head.bytes),
        ),
    );
    let none = || "none".to_owned();
    facts.add("leaf", head.leaf.as_deref().map_or_else(none, plain));
    facts.add(
        "checkpoint",
        head.checkpoint.as_deref().map_or_else(none, plain),
    );
}

fn describe_queue(counted: &SessionStatistics, facts: &mut Facts) {
    let queue = &counted.queue;
    facts.add(
        "queue",
        format!(
            "{} ready, {} leased, {} waiting; {}{}",
            number(queue.ready),
            number(queue.claimed),
            number(queue.waiting),
            bytes(queue.bytes),
            queue
                .next_ready_at_ms
                .map_or_else(String::new, |ms| format!("; the next ready {}", moment(ms))),
        ),
    );
    facts.add(
        "source keys",
        format!("{} of completed work", number(queue.completed_source_keys)),
    );
}

fn describe_blobs(blobs: &[BlobSizes], facts: &mut Facts) {
    let sum = |of: fn(&BlobSizes) -> u64| blobs.iter().map(of).sum::<u64>();
    let (all, stored) = (sum(|blobs| blobs.bytes), sum(|blobs| blobs.stored_bytes));
    facts.add(
        "blobs",
        format!(
            "{}, {}, stored in {}, {} less",
            number(sum(|blobs| blobs.count)),
            bytes(all),
            bytes(stored),
            percent_smaller(all, stored),
        ),
    );
    if !blobs.is_empty() {
        facts.detail(["", "count", "size", "stored", "less"].map(str::to_owned));
    }
    for blobs in blobs {
        facts.detail([
            name(blobs.kind).to_owned(),
            number(blobs.count),
            bytes(blobs.bytes),
            bytes(blobs.stored_bytes),
            percent_smaller(blobs.bytes, blobs.stored_bytes),
        ]);
    }
}

/// What people call a kind of blob.
fn name(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::CheckpointManifest => "checkpoint manifest",
        BlobKind::ToolState => "tool state",
        BlobKind::PluginSnapshot => "plugin snapshot",
        BlobKind::ExecutionState => "execution state",
        BlobKind::Module => "module",
        BlobKind::ProcessEnvironment => "process environment",
        _ => "other",
    }
}
