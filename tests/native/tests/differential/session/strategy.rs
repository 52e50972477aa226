//! Which operations on a session are likely.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use super::operation::{
    Batch, Body, Claim, Commit, Completion, Component, Expected, Graph, Kind, Lease, NewNode, Node,
    Operation, Parent, Shape, Turn, Work,
};
use crate::machine::sequence_of;

fn session() -> impl Strategy<Value = usize> {
    prop_oneof![12 => Just(0_usize), 1 => Just(1_usize)]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![9 => (0..30_usize).prop_map(Node::Known), 1 => Just(Node::Unknown)]
}

fn lease() -> impl Strategy<Value = Lease> {
    prop_oneof![Just(Lease::Expired), Just(Lease::Long)]
}

fn new_node() -> impl Strategy<Value = NewNode> {
    let parent = prop_oneof![
        6 => Just(Parent::Before),
        1 => Just(Parent::None),
        2 => node().prop_map(Parent::Node),
    ];
    let body = prop_oneof![Just(Body::Plugin), Just(Body::User), Just(Body::Assistant)];
    (prop::option::weighted(0.06, node()), parent, body).prop_map(|(again, parent, body)| NewNode {
        again,
        parent,
        body,
    })
}

fn graph() -> impl Strategy<Value = Graph> {
    let nodes = || prop::collection::vec(new_node(), 0..4);
    prop_oneof![
        2 => Just(Graph::Unchanged),
        6 => nodes().prop_map(Graph::Append),
        1 => prop_oneof![Just(3_usize), Just(70), Just(130)].prop_map(Graph::Chain),
        1 => nodes().prop_map(Graph::Replace),
        1 => nodes().prop_map(Graph::Lengthen),
    ]
}

fn component() -> impl Strategy<Value = Component> {
    prop_oneof![
        2 => Just(Component::None),
        3 => (0..3_u8).prop_map(Component::New),
        1 => (0..6_usize).prop_map(Component::Stored),
    ]
}

fn completion() -> impl Strategy<Value = Completion> {
    let shape = prop_oneof![
        6 => Just(Shape::Exact),
        1 => Just(Shape::Short),
        1 => Just(Shape::Foreign),
        1 => Just(Shape::Repeated),
    ];
    (0..12_usize, shape).prop_map(|(claim, shape)| Completion { claim, shape })
}

fn turn() -> impl Strategy<Value = Turn> {
    let hash = prop_oneof![4 => Just(0_u8), 1 => Just(1_u8)];
    (0..12_u8, hash, prop::bool::weighted(0.05)).prop_map(|(turn, hash, foreign)| Turn {
        turn,
        hash,
        foreign,
    })
}

fn commit() -> impl Strategy<Value = Operation> {
    let expected = prop_oneof![
        1 => Just(Expected::Absent),
        16 => Just(Expected::Right),
        1 => Just(Expected::Stale),
        1 => Just(Expected::Ahead),
    ];
    let tokens = -1..3_i64;
    let entry = (
        0..2_u8,
        0..2_u8,
        [tokens.clone(), tokens.clone(), tokens.clone(), tokens],
    );
    let what = (
        prop_oneof![60 => Just(0_usize), 1 => Just(1_usize)],
        expected,
        graph(),
        prop::option::weighted(0.2, node()),
        prop::collection::vec(entry, 0..3),
    );
    let rest = (
        (0..2_u8, prop::option::weighted(0.3, 0..3_u8)),
        (component(), component(), component()),
        prop::option::weighted(0.4, turn()),
        prop_oneof![
            3 => Just(Vec::new()),
            2 => prop::collection::vec(completion(), 1..3),
        ],
        prop::collection::vec(0..4_u8, 0..3),
    );
    (what, rest).prop_map(
        |(
            (session, expected, graph, leaf, usage),
            ((turn_index, frame), (tool, plugin, execution), turn, completions, attachments),
        )| {
            Operation::Commit(Box::new(Commit {
                session,
                expected,
                graph,
                leaf,
                turn_index,
                tool,
                plugin,
                execution,
                frame,
                usage,
                turn,
                completions,
                attachments,
            }))
        },
    )
}

fn work() -> impl Strategy<Value = Operation> {
    (
        session(),
        prop::option::weighted(0.6, 0..3_u8),
        0..2_u8,
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.7),
        prop::option::weighted(0.3, 0..2_u8),
        prop_oneof![30 => Just(1_usize), 1 => Just(40)],
    )
        .prop_map(
            |(session, source_key, payload, ready, early, joins, group, times)| {
                let work = Work {
                    session,
                    source_key,
                    payload,
                    ready,
                    early,
                    joins,
                    group,
                };
                Operation::Enqueue(work, times)
            },
        )
}

fn claim() -> impl Strategy<Value = Claim> {
    let at_most = prop_oneof![10 => 1..5_usize, 1 => Just(0), 1 => Just(100)];
    (session(), prop::bool::weighted(0.7), lease(), at_most).prop_map(
        |(session, idle, lease, at_most)| Claim {
            session,
            idle,
            lease,
            at_most,
        },
    )
}

fn queue() -> impl Strategy<Value = Operation> {
    let batch = prop_oneof![
        4 => (0..3_usize).prop_map(Batch::Ready),
        1 => (0..20_usize).prop_map(Batch::Number),
    ];
    let batches = prop_oneof![
        2 => (0..4_usize).prop_map(|count| (0..count).map(Batch::Ready).collect()),
        1 => prop::collection::vec(batch, 0..3),
    ];
    prop_oneof![
        6 => work(),
        4 => claim().prop_map(Operation::Claim),
        2 => (claim(), batches)
            .prop_map(|(claim, batches)| Operation::ClaimExactly(claim, batches)),
        2 => (0..12_usize, lease()).prop_map(|(claim, lease)| Operation::Renew(claim, lease)),
        1 => (0..12_usize).prop_map(Operation::Abandon),
        1 => (session(), 0..20_usize).prop_map(|(session, batch)| Operation::Cancel(session, batch)),
        2 => (session(), any::<bool>())
            .prop_map(|(session, pending)| Operation::Queue { session, pending }),
    ]
}

fn attachments() -> impl Strategy<Value = Operation> {
    let at = || prop_oneof![8 => 0..6_u64, 1 => Just(u64::MAX)];
    prop_oneof![
        4 => (0..4_u8, 0..6_u64).prop_map(|(attachment, at)| Operation::Intent {
            attachment,
            session: 0,
            at,
        }),
        1 => (session(), prop::collection::vec(0..4_u8, 0..3))
            .prop_map(|(session, attachments)| Operation::CommitIntents(session, attachments)),
        3 => at().prop_map(Operation::Uncommitted),
        1 => (0..4_u8).prop_map(Operation::Forget),
    ]
}

fn artifacts() -> impl Strategy<Value = Operation> {
    let kind = prop_oneof![3 => Just(Kind::Generic), 1 => Just(Kind::Environment)];
    prop_oneof![
        1 => (0..3_u8).prop_map(Operation::PutBlob),
        2 => (0..6_usize).prop_map(Operation::GetBlob),
        1 => (0..2_usize).prop_map(Operation::PutModule),
        1 => (0..2_usize).prop_map(Operation::GetModule),
        2 => (0..3_u8, kind, 0..3_u8)
            .prop_map(|(name, kind, content)| Operation::PutArtifact(name, kind, content)),
        2 => (0..3_u8).prop_map(Operation::GetArtifact),
    ]
}

fn graph_operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        12 => commit(),
        4 => Just(Operation::Load),
        4 => prop::option::weighted(0.5, node()).prop_map(Operation::LoadPath),
        3 => node().prop_map(Operation::LoadNode),
        2 => prop::collection::vec(node(), 0..3).prop_map(Operation::Tombstone),
        1 => Just(Operation::Vacuum),
        2 => Just(Operation::CollectGarbage),
        1 => (0..3_u8).prop_map(Operation::SaveMeta),
        1 => Just(Operation::LoadMeta),
        1 => Just(Operation::Describe),
        1 => Just(Operation::Usage),
        1 => (0..2_u8, [0..3_i64, 0..3, 0..3, 0..3])
            .prop_map(|(source, tokens)| Operation::AddUsage(source, tokens)),
        1 => graph().prop_filter("a change", |graph| !matches!(graph, Graph::Unchanged))
            .prop_map(Operation::ChangeGraph),
        1 => Just(Operation::LoadGraph),
        1 => (component(), component())
            .prop_map(|(tool, execution)| Operation::PutCheckpoint(tool, execution)),
        1 => (0..20_usize).prop_map(Operation::GetCheckpoint),
    ]
    .boxed()
}

fn queue_operation() -> BoxedStrategy<Operation> {
    prop_oneof![5 => queue(), 2 => commit(), 1 => Just(Operation::Load)].boxed()
}

fn small_operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        3 => attachments(),
        3 => artifacts(),
        2 => commit(),
        1 => Just(Operation::CollectGarbage),
        1 => (component(), component())
            .prop_map(|(tool, execution)| Operation::PutCheckpoint(tool, execution)),
        1 => (0..20_usize).prop_map(Operation::GetCheckpoint),
    ]
    .boxed()
}

fn any_operation() -> BoxedStrategy<Operation> {
    prop_oneof![graph_operation(), queue_operation(), small_operation()].boxed()
}

/// Any sequence: about one thing, or about all. Few need files, which are slow.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Operation>> {
    let elsewhere = any_operation().prop_map(|operation| match operation {
        // Two handles of the native crate give two batches the same identifier if
        // they enqueue in the same ms.
        Operation::Enqueue(..) => operation,
        operation => Operation::Elsewhere(Box::new(operation)),
    });
    let in_file = prop_oneof![15 => any_operation(), 5 => elsewhere, 1 => Just(Operation::Reopen)];
    prop_oneof![
        sequence_of(graph_operation()),
        sequence_of(queue_operation()),
        sequence_of(small_operation()),
        sequence_of(any_operation()),
        sequence_of(in_file),
    ]
    .boxed()
}
