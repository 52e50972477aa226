//! What is done to processes. Few processes, scopes and keys, so that operations
//! meet.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use crate::machine::sequence_of;

/// How many processes there can be; one more is never registered. Two are meant
/// mostly.
pub(crate) const PROCESSES: usize = 6;

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A process, and which of its two registrations.
    Register(usize, bool),
    SetExternalRef(usize, u8),
    Grant(Scope, usize, u8),
    Revoke(Scope, usize),
    Transfer(Scope, Scope, Vec<usize>),
    Handles {
        scope: Scope,
        live: bool,
    },
    HasHandle(Scope, usize),
    HandlesOf(usize),
    DeleteSession(u8),
    Append(usize, Event),
    Complete(usize, End),
    Events(usize, After),
    Wakes(usize, After),
    /// Waits for an event that is there.
    WaitEvent(usize, &'static str, u64),
    /// Waits for the end of a process that has ended.
    Await(usize),
    Acknowledge(usize, u64),
    SetWait(usize, u8),
    ClearWait(usize),
    Get(usize),
    List(Filter),
    ListRunning,
    Claim {
        process: usize,
        owner: u8,
        live: bool,
    },
    Renew {
        lease: usize,
        live: bool,
    },
    Release(usize),
    /// Through a second registry on the file.
    Elsewhere(Box<Operation>),
    Reopen,
}

/// A session, or a frame of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) session: u8,
    pub(crate) frame: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) payload: Payload,
    pub(crate) key: Option<u8>,
    pub(crate) target: Option<Scope>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload {
    Number(u8),
    Text(u8),
    /// What ends a process.
    Output(u8),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Success(u8),
    Failure,
    Cancelled,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum After {
    Sequence(u64),
    /// Larger than a sequence can be.
    Beyond,
}

impl Operation {
    /// Whether it closes a file or opens it twice.
    pub(crate) fn needs_file(&self) -> bool {
        matches!(self, Self::Reopen | Self::Elsewhere(_))
    }
}

impl After {
    pub(crate) fn sequence(self) -> u64 {
        match self {
            Self::Sequence(sequence) => sequence,
            Self::Beyond => u64::MAX,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// One of the names that lash-core knows; none for its default.
    pub(crate) status: Option<&'static str>,
    pub(crate) waiting: Option<bool>,
}

fn process() -> impl Strategy<Value = usize> {
    prop_oneof![24 => 0..2_usize, 3 => 2..PROCESSES, 1 => Just(PROCESSES)]
}

fn scope() -> impl Strategy<Value = Scope> {
    (0..2_u8, prop::bool::weighted(0.3)).prop_map(|(session, frame)| Scope { session, frame })
}

fn event() -> impl Strategy<Value = Event> {
    let payload = || {
        prop_oneof![
            (0..3_u8).prop_map(Payload::Number),
            (0..3_u8).prop_map(Payload::Text),
            (0..2_u8).prop_map(Payload::Output),
        ]
    };
    let any = prop_oneof![
        Just("tick"),
        Just("wake"),
        Just("process.cancel_requested"),
        Just("process.waiting"),
        Just("process.completed"),
        Just("process.failed"),
        Just("undeclared"),
    ];
    let body = prop_oneof![
        8 => (Just("tick"), (0..3_u8).prop_map(Payload::Number)),
        8 => (Just("wake"), (0..3_u8).prop_map(Payload::Text)),
        1 => (Just("process.completed"), (0..2_u8).prop_map(Payload::Output)),
        4 => (any, payload()),
    ];
    (
        body,
        prop::option::of(0..6_u8),
        prop::option::weighted(0.2, scope()),
    )
        .prop_map(|((kind, payload), key, target)| Event {
            kind,
            payload,
            key,
            target,
        })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        (0..2_u8).prop_map(End::Success),
        Just(End::Failure),
        Just(End::Cancelled),
    ]
}

fn after() -> impl Strategy<Value = After> {
    prop_oneof![12 => (0..6_u64).prop_map(After::Sequence), 1 => Just(After::Beyond)]
}

fn filter() -> impl Strategy<Value = Filter> {
    let status = prop_oneof![
        Just(None),
        Just(Some("running")),
        Just(Some("completed")),
        Just(Some("failed")),
        Just(Some("cancelled")),
        Just(Some("any")),
    ];
    (status, any::<Option<bool>>()).prop_map(|(status, waiting)| Filter { status, waiting })
}

fn register() -> impl Strategy<Value = Operation> {
    let process = prop_oneof![2 => 0..2_usize, 1 => 2..PROCESSES];
    (process, prop::bool::weighted(0.2)).prop_map(|(id, other)| Operation::Register(id, other))
}

fn handles() -> impl Strategy<Value = Operation> {
    let processes = prop::collection::vec(process(), 0..3);
    prop_oneof![
        4 => (scope(), process(), 0..2_u8).prop_map(|(scope, id, label)| {
            Operation::Grant(scope, id, label)
        }),
        1 => (scope(), process()).prop_map(|(scope, id)| Operation::Revoke(scope, id)),
        2 => (scope(), scope(), processes).prop_map(|(from, to, ids)| {
            Operation::Transfer(from, to, ids)
        }),
        2 => (scope(), any::<bool>()).prop_map(|(scope, live)| Operation::Handles { scope, live }),
        1 => (scope(), process()).prop_map(|(scope, id)| Operation::HasHandle(scope, id)),
        2 => process().prop_map(Operation::HandlesOf),
        1 => (0..3_u8).prop_map(Operation::DeleteSession),
    ]
}

fn ends() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (process(), end()).prop_map(|(id, end)| Operation::Complete(id, end)),
        (process(), event()).prop_map(|(id, event)| Operation::Append(id, event)),
    ]
}

fn events() -> impl Strategy<Value = Operation> {
    let kind = prop_oneof![Just("tick"), Just("wake"), Just("process.completed")];
    prop_oneof![
        16 => (process(), event()).prop_map(|(id, event)| Operation::Append(id, event)),
        1 => (process(), end()).prop_map(|(id, end)| Operation::Complete(id, end)),
        4 => (process(), after()).prop_map(|(id, after)| Operation::Events(id, after)),
        4 => (process(), after()).prop_map(|(id, after)| Operation::Wakes(id, after)),
        1 => (process(), kind, 0..4_u64).prop_map(|(id, kind, after)| {
            Operation::WaitEvent(id, kind, after)
        }),
        1 => process().prop_map(Operation::Await),
        3 => (process(), 0..6_u64).prop_map(|(id, sequence)| Operation::Acknowledge(id, sequence)),
    ]
}

fn leases() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (process(), 0..2_u8, any::<bool>()).prop_map(|(process, owner, live)| {
            Operation::Claim { process, owner, live }
        }),
        3 => (0..8_usize, any::<bool>()).prop_map(|(lease, live)| Operation::Renew { lease, live }),
        2 => (0..8_usize).prop_map(Operation::Release),
    ]
}

fn operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        3 => register(),
        1 => (process(), 0..3_u8).prop_map(|(id, value)| Operation::SetExternalRef(id, value)),
        8 => handles(),
        16 => events(),
        6 => leases(),
        2 => (process(), 0..2_u8).prop_map(|(id, name)| Operation::SetWait(id, name)),
        1 => process().prop_map(Operation::ClearWait),
        2 => process().prop_map(Operation::Get),
        2 => filter().prop_map(Operation::List),
        1 => Just(Operation::ListRunning),
    ]
    .boxed()
}

/// Any sequence. Most begin with a process, and few need files, which are slow.
pub(crate) fn sequence() -> BoxedStrategy<Vec<Operation>> {
    let anywhere = prop_oneof![
        3 => operation(),
        1 => operation().prop_map(|operation| Operation::Elsewhere(Box::new(operation))),
    ];
    let in_file = prop_oneof![20 => anywhere, 1 => Just(Operation::Reopen)];
    let lost = (
        prop_oneof![4 => leases(), 1 => ends(), 1 => register()],
        any::<bool>(),
    )
        .prop_map(|(operation, here)| match here {
            true => operation,
            false => Operation::Elsewhere(Box::new(operation)),
        });
    let held = prop_oneof![8 => handles(), 1 => ends(), 1 => register()];
    let rest = prop_oneof![
        5 => sequence_of(operation()),
        1 => sequence_of(held),
        2 => sequence_of(in_file),
        1 => sequence_of(lost),
    ];
    (prop::bool::weighted(0.9), rest)
        .prop_map(|(begins, mut sequence)| {
            if begins {
                sequence.insert(0, Operation::Register(0, false));
            }
            sequence
        })
        .boxed()
}
