//! What statements the logic runs, seen at its seam to the database.

use std::collections::BTreeSet;

use lash_wasm_store_guest::bindings::session_types::{
    BatchDraft, BlobProfile, BlobSource, Boundary, CheckpointDraft, ClaimRequest, CommitOutcome,
    CommitRequest, Completion, DeliveryPolicy, GraphChange, HeadBody, Node, ReadScope, SlotPolicy,
    TurnStamp, UsageEntry,
};
use lash_wasm_store_guest::seam::TransactionMode;
use lash_wasm_store_guest::session::{self, graph, maintenance, queue};
use lash_wasm_store_testing::recorder::{Recorder, assert_fits_the_cache, assert_no_scan};

fn commit(recorder: &Recorder, turn: u64, nodes: usize, completions: Vec<Completion>) {
    let node = |index: usize| Node {
        id: format!("node-{turn}-{index}"),
        parent: (index > 0).then(|| format!("node-{turn}-{}", index - 1)),
        prompt: index == 0,
        body: vec![b'x'; 1000],
    };
    let nodes: Vec<Node> = (0..nodes).map(node).collect();
    let content = |name: &str| {
        Some(BlobSource::Content(
            format!("{name} {turn} ").repeat(900).into_bytes(),
        ))
    };
    let request = CommitRequest {
        session_id: "session".to_owned(),
        expected_revision: (turn > 1).then_some(turn - 1),
        head: HeadBody {
            content: b"{}".to_vec(),
            blobs: Vec::new(),
            retained: Vec::new(),
        },
        leaf: nodes.last().map(|node| node.id.clone()),
        graph: GraphChange::Append(nodes),
        checkpoint: CheckpointDraft {
            turn_state: vec![1],
            tool_state: content("tools"),
            plugin_snapshot: content("plugins"),
            plugin_snapshot_revision: Some(turn),
            execution_state: content("execution"),
        },
        usage: vec![UsageEntry {
            source: "turn".to_owned(),
            model: "model".to_owned(),
            input_tokens: 1,
            output_tokens: 1,
            cached_input_tokens: 0,
            reasoning_tokens: 0,
        }],
        turn: Some(TurnStamp {
            session_id: "session".to_owned(),
            turn_id: format!("turn-{turn}"),
            commit_hash: "hash".to_owned(),
        }),
        completions,
        attachment_ids: Vec::new(),
        profile: BlobProfile::Balanced,
    };
    let outcome = session::commit(recorder, request).unwrap();
    assert!(
        matches!(outcome, CommitOutcome::Committed(_)),
        "{outcome:?}"
    );
}

/// How statements end that read a whole table, because there is one row in it,
/// because all of it is asked for, or because garbage is collected.
const WHOLE: [&str; 5] = [
    "FROM session_head",
    "FROM usage_totals ORDER BY seq",
    "FROM queued_batches NOT INDEXED ORDER BY seq",
    "FROM runtime_turn_commits",
    "FROM artifacts NOT INDEXED",
];

/// Defect P5. The native crate compiles every statement anew: a dozen for each
/// commit, and one for each node. Ours are texts that never vary, and all of them
/// together fit into the cache of a connection, so each is compiled once. None
/// reads more of a table than it answers.
#[test]
fn all_statements_together_fit_into_the_cache_and_none_scans() {
    let recorder = Recorder::new(session::initialize);
    let mut texts = BTreeSet::new();
    for turn in 1..=20 {
        enqueue(&recorder, turn, 0);
        let held = claim(&recorder, 4).unwrap();
        queue::renew(&recorder, &held, 1000).unwrap().unwrap();
        commit(&recorder, turn, 1 + turn as usize, vec![held]);
        session::load(&recorder, ReadScope::Full).unwrap().unwrap();
        session::load(&recorder, ReadScope::Path(None))
            .unwrap()
            .unwrap();
        graph::load_node(&recorder, &format!("node-{turn}-0"))
            .unwrap()
            .unwrap();
        queue::list(&recorder, "session", true, None).unwrap();
        maintenance::gc(&recorder, 100).unwrap();
        texts.extend(recorder.statements());
    }
    assert!(texts.len() > 20, "{texts:?}");
    assert_fits_the_cache(&texts);
    for end in WHOLE {
        assert!(
            texts.iter().any(|sql| sql.trim_end().ends_with(end)),
            "{end}"
        );
    }
    texts.retain(|sql| {
        let whole = WHOLE.iter().any(|end| sql.trim_end().ends_with(end));
        // The path is a list in memory, of what is answered.
        !whole && !sql.starts_with("WITH RECURSIVE path")
    });
    assert_no_scan(&recorder, &texts);
}

fn enqueue(recorder: &Recorder, number: u64, available_at_ms: u64) {
    let draft = BatchDraft {
        session_id: "session".to_owned(),
        source_key: Some(format!("source {number}")),
        delivery: DeliveryPolicy::EarliestSafeBoundary,
        slot: SlotPolicy::Join,
        merge_key: "key".to_owned(),
        available_at_ms,
        payloads: vec![vec![1]],
    };
    queue::enqueue(recorder, draft).unwrap();
}

fn claim(recorder: &Recorder, max_batches: u64) -> Option<Completion> {
    let request = ClaimRequest {
        session_id: "session".to_owned(),
        owner_id: "owner".to_owned(),
        boundary: Boundary::Idle,
        lease_ttl_ms: 1000,
        max_batches,
        exactly: None,
    };
    let claim = queue::claim(recorder, request).unwrap()?;
    Some(Completion {
        session_id: claim.session_id,
        claim_id: claim.id,
        lease_token: claim.lease_token,
        batch_ids: claim.batches.into_iter().map(|batch| batch.id).collect(),
    })
}

/// A claim stepped over every batch of a deep queue that was not available yet, to
/// learn that there was nothing to do; and it ran two statements for each batch that
/// it took, as did a renewal and a completion.
#[test]
fn a_claim_reads_what_is_ready_by_as_many_statements_whatever_it_takes() {
    let recorder = Recorder::new(session::initialize);
    for number in 0..100 {
        enqueue(&recorder, number, u64::MAX);
    }
    recorder.statements();
    recorder.rows();
    assert!(claim(&recorder, 10).is_none());
    // The digests and the front of the queue.
    assert_eq!(recorder.rows(), 1 + 8);
    let texts: BTreeSet<String> = recorder.statements().into_iter().collect();
    let by_index: Vec<&String> = texts
        .iter()
        .filter(|sql| sql.contains("queued_batches_ready"))
        .collect();
    let [sql] = by_index[..] else {
        panic!("{texts:?}")
    };
    let plan = recorder.plan(sql);
    let searches = |step: &String| {
        step.contains("SEARCH queued_batches USING")
            && step.contains("INDEX queued_batches_ready (session_id=? AND <expr><?")
    };
    assert!(plan.iter().any(searches), "{plan:?}");

    for number in 100..150 {
        enqueue(&recorder, number, 0);
    }
    recorder.statements();
    let mut counts = Vec::new();
    for (turn, max_batches) in [(1, 1), (2, 40)] {
        let held = claim(&recorder, max_batches).unwrap();
        assert_eq!(held.batch_ids.len() as u64, max_batches);
        let claimed = recorder.statements().len();
        recorder.advance(1);
        queue::renew(&recorder, &held, 1000).unwrap().unwrap();
        let renewed = recorder.statements().len();
        queue::abandon(&recorder, &held).unwrap();
        let abandoned = recorder.statements().len();
        let held = claim(&recorder, max_batches).unwrap();
        recorder.statements();
        commit(&recorder, turn, 1, vec![held]);
        counts.push([claimed, renewed, abandoned]);
        recorder.statements();
    }
    assert_eq!(counts[0], counts[1]);
}

/// Nodes cross in one statement, whatever their number, and history adds none.
#[test]
fn a_commit_runs_as_many_statements_whatever_it_appends_and_after_whatever() {
    let recorder = Recorder::new(session::initialize);
    commit(&recorder, 1, 1, Vec::new());
    commit(&recorder, 2, 1, Vec::new());
    recorder.statements();
    commit(&recorder, 3, 1, Vec::new());
    let one = recorder.statements().len();
    commit(&recorder, 4, 5000, Vec::new());
    assert_eq!(recorder.statements().len(), one);
    commit(&recorder, 5, 2, Vec::new());
    assert_eq!(recorder.statements().len(), one);
}

/// Defect P4. The native crate hashes and compresses while it holds the write
/// lock. Ours looks for what is stored under a snapshot, lets go of it, and takes
/// the write lock once, with everything ready to be inserted.
#[test]
fn a_commit_takes_the_write_lock_once_after_it_has_looked() {
    let recorder = Recorder::new(session::initialize);
    commit(&recorder, 1, 1, Vec::new());
    let modes = recorder.begun();
    let names: Vec<String> = modes.iter().map(|mode| format!("{mode:?}")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(matches!(modes[0], TransactionMode::Read), "{names:?}");
    assert!(
        matches!(modes[1], TransactionMode::WriteDurable),
        "{names:?}"
    );
}

/// Each identifier that was gone already cost a scan of the graph under the write lock.
#[test]
fn hiding_nodes_that_are_gone_reads_the_graph_once() {
    let recorder = Recorder::new(session::initialize);
    commit(&recorder, 1, 100, Vec::new());
    let gone: Vec<String> = (0..50).map(|number| format!("gone-{number}")).collect();
    recorder.statements();
    recorder.rows();
    assert_eq!(graph::tombstone(&recorder, &gone).unwrap(), 0);
    let scans = recorder.statements();
    let scans = scans.iter().filter(|sql| sql.contains("NOT INDEXED"));
    assert_eq!(scans.count(), 1);
    assert!(recorder.rows() <= 101, "the graph and the digests");
}

/// With 64 or more ready batches behind many that wait, a claim stepped over all of these,
/// and it did so twice.
#[test]
fn a_claim_costs_the_same_however_many_wait_in_front_of_what_is_ready() {
    let steps = |waiting: u64| {
        let mut recorder = Recorder::new(session::initialize);
        for number in 0..waiting {
            enqueue(&recorder, number, u64::MAX);
        }
        for number in 0..80 {
            enqueue(&recorder, waiting + number, 0);
        }
        recorder.statements();
        let steps = recorder.steps(|recorder| {
            let held = claim(recorder, 10).unwrap();
            assert_eq!(held.batch_ids.len(), 10);
        });
        (steps, recorder.statements().len())
    };
    let (few, many) = (steps(100), steps(2_000));
    assert_eq!(few.1, many.1);
    assert!(many.0 < few.0 + few.0 / 10, "{few:?} {many:?}");
}
