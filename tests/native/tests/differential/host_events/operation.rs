//! What is done to host events.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::machine::sequence_of;

/// Sessions that subscribe. The last one looks like a frame of the first.
pub(crate) const SESSIONS: [&str; 3] = ["a", "b", "a/frame"];
/// Sources that are subscribed to.
pub(crate) const SOURCES: [&str; 2] = ["k", "other"];

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Subscribe(Subscription),
    Cancel(usize, u64),
    DeleteSession(usize),
    List(Filter),
    Record(Occurrence),
    Reserve(Occurrence),
    /// Through a second store on the file.
    Elsewhere(Box<Operation>),
    Reopen,
}

impl Operation {
    /// Whether it closes a file or opens it twice.
    pub(crate) fn needs_file(&self) -> bool {
        matches!(self, Self::Reopen | Self::Elsewhere(_))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// A session, or the host.
    pub(crate) session: Option<usize>,
    pub(crate) source: usize,
    pub(crate) name: Option<u8>,
    pub(crate) process: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Occurrence {
    pub(crate) source: usize,
    pub(crate) key: u8,
    pub(crate) payload: u8,
    /// Whether it is reported without a source, which is refused.
    pub(crate) is_blank: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) session: Option<usize>,
    pub(crate) handle: Option<u64>,
    pub(crate) name: Option<u8>,
    pub(crate) source_type: Option<bool>,
    pub(crate) source: Option<usize>,
    pub(crate) enabled: Option<bool>,
}

fn session() -> impl Strategy<Value = usize> {
    0..SESSIONS.len()
}

fn source() -> impl Strategy<Value = usize> {
    0..SOURCES.len()
}

fn occurrence() -> impl Strategy<Value = Occurrence> {
    let payload = prop_oneof![9 => Just(0_u8), 1 => Just(1_u8)];
    (source(), 0..3_u8, payload, prop::bool::weighted(0.03)).prop_map(
        |(source, key, payload, is_blank)| Occurrence {
            source,
            key,
            payload,
            is_blank,
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    (
        prop::option::of(session()),
        prop::option::weighted(0.2, 0..12_u64),
        prop::option::weighted(0.3, 0..3_u8),
        prop::option::weighted(0.4, prop::bool::weighted(0.9)),
        prop::option::of(source()),
        any::<Option<bool>>(),
    )
        .prop_map(
            |(session, handle, name, source_type, source, enabled)| Filter {
                session,
                handle,
                name,
                source_type,
                source,
                enabled,
            },
        )
}

fn operation() -> BoxedStrategy<Operation> {
    let subscription = (
        prop::option::weighted(0.8, session()),
        source(),
        prop::option::of(0..3_u8),
        0..2_u8,
    );
    prop_oneof![
        5 => subscription.prop_map(|(session, source, name, process)| {
            Operation::Subscribe(Subscription { session, source, name, process })
        }),
        3 => (session(), 0..12_u64)
            .prop_map(|(session, handle)| Operation::Cancel(session, handle)),
        1 => session().prop_map(Operation::DeleteSession),
        4 => occurrence().prop_map(Operation::Record),
        6 => occurrence().prop_map(Operation::Reserve),
        3 => filter().prop_map(Operation::List),
    ]
    .boxed()
}

/// Any sequence. Few need files, which are slow.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Operation>> {
    let in_file = prop_oneof![
        15 => operation(),
        5 => operation().prop_map(|operation| Operation::Elsewhere(Box::new(operation))),
        1 => Just(Operation::Reopen),
    ];
    prop_oneof![3 => sequence_of(operation()), 1 => sequence_of(in_file)].boxed()
}
