//! A short sequence for each difference: it is allowed, and it is still there.

use crate::differences::Difference;
use crate::effects::Effects;
use crate::effects::operation::{self as effects, Effect, Ends};
use crate::host_events::HostEvents;
use crate::host_events::operation::{self as host_events, Occurrence, Subscription};
use crate::machine::{Judge, Machine, Tally, run_sequence, runtime};
use crate::processes::Processes;
use crate::processes::operation::{self as processes, After, End, Event, Payload, Scope};
use crate::session::Sessions;
use crate::session::operation::{
    self as session, Batch, Body, Claim, Commit, Completion, Component, Expected, Graph, Kind,
    Lease, NewNode, Node, Parent, Shape, Turn, Work,
};

/// Operations on one kind of database.
enum Example {
    Session(Vec<session::Operation>),
    Processes(Vec<processes::Operation>),
    HostEvents(Vec<host_events::Operation>),
    Effects(Vec<effects::Operation>),
}

/// A difference that is not seen any more must leave the list.
#[test]
fn every_difference_is_still_there() {
    for difference in Difference::ALL {
        match example(*difference) {
            Example::Session(sequence) => shows::<Sessions>(*difference, &sequence),
            Example::Processes(sequence) => shows::<Processes>(*difference, &sequence),
            Example::HostEvents(sequence) => shows::<HostEvents>(*difference, &sequence),
            Example::Effects(sequence) => shows::<Effects>(*difference, &sequence),
        }
    }
}

fn shows<M: Machine>(difference: Difference, sequence: &[M::Operation]) {
    let mut tally = Tally::default();
    runtime().block_on(async {
        if let Err(report) = run_sequence::<M>(sequence, Judge::Fair, &mut tally).await {
            panic!("{difference:?} is not allowed: {report}");
        }
        assert!(tally.seen(difference) > 0, "{difference:?} is not seen");
        let strict = run_sequence::<M>(sequence, Judge::Strict, &mut Tally::default()).await;
        assert!(strict.is_err(), "{difference:?} is not there any more");
    });
}

fn example(difference: Difference) -> Example {
    use Difference as D;
    match difference {
        D::AbsentRevision
        | D::DanglingGraph
        | D::RemovedParent
        | D::DanglingCheckpoint
        | D::StampedManifest
        | D::FrameBlobs
        | D::CountedCompletion
        | D::RepeatedCompletion
        | D::PartialRenewal
        | D::ExactClaimLeavesAlone
        | D::Redelivery
        | D::RefreshedIntent
        | D::SixtyFourBits
        | D::ArtifactKind => Example::Session(of_session(difference)),
        D::AcknowledgedInAdvance
        | D::MemoryLeaseOfNothing
        | D::MemoryTransferInPart
        | D::LostLease => Example::Processes(of_processes(difference)),
        D::LateSubscription => Example::HostEvents(of_host_events()),
        D::SharedScope | D::NotExecuted | D::ReplayOfOneController => {
            Example::Effects(of_effects(difference))
        }
    }
}

fn commit(change: impl FnOnce(&mut Commit)) -> session::Operation {
    let mut commit = Commit {
        session: 0,
        expected: Expected::Right,
        graph: Graph::Unchanged,
        leaf: None,
        turn_index: 0,
        tool: Component::None,
        plugin: Component::None,
        execution: Component::None,
        frame: None,
        usage: Vec::new(),
        turn: None,
        completions: Vec::new(),
        attachments: Vec::new(),
    };
    change(&mut commit);
    session::Operation::Commit(Box::new(commit))
}

fn enqueue(source_key: Option<u8>) -> session::Operation {
    let work = Work {
        session: 0,
        source_key,
        payload: 0,
        ready: true,
        early: true,
        joins: true,
        group: None,
    };
    session::Operation::Enqueue(work, 1)
}

fn claim(lease: Lease, at_most: usize) -> Claim {
    Claim {
        session: 0,
        idle: true,
        lease,
        at_most,
    }
}

fn of_session(difference: Difference) -> Vec<session::Operation> {
    use session::Operation as O;
    let completing =
        |shape| commit(|commit| commit.completions = vec![Completion { claim: 0, shape }]);
    let execution = |component| commit(move |commit| commit.execution = component);
    match difference {
        Difference::AbsentRevision => vec![
            commit(|_| ()),
            commit(|commit| commit.expected = Expected::Absent),
        ],
        Difference::DanglingGraph => vec![commit(|commit| {
            commit.graph = Graph::Append(vec![NewNode {
                again: None,
                parent: Parent::Node(Node::Unknown),
                body: Body::Plugin,
            }]);
        })],
        Difference::RemovedParent => vec![
            commit(|commit| commit.graph = Graph::Chain(2)),
            O::Tombstone(vec![Node::Known(0)]),
            O::Vacuum,
            commit(|commit| {
                commit.graph = Graph::Append(vec![NewNode {
                    again: Some(Node::Known(0)),
                    parent: Parent::None,
                    body: Body::Plugin,
                }]);
            }),
            O::LoadPath(Some(Node::Known(1))),
        ],
        Difference::DanglingCheckpoint => vec![
            execution(Component::New(0)),
            execution(Component::None),
            O::CollectGarbage,
            execution(Component::Stored(0)),
        ],
        Difference::StampedManifest => vec![
            commit(|commit| {
                commit.turn = Some(Turn {
                    turn: 0,
                    hash: 0,
                    foreign: false,
                });
            }),
            commit(|commit| commit.turn_index = 1),
            O::CollectGarbage,
        ],
        Difference::FrameBlobs => vec![commit(|commit| commit.frame = Some(0)), O::CollectGarbage],
        Difference::CountedCompletion => vec![
            enqueue(None),
            O::Claim(claim(Lease::Long, 1)),
            completing(Shape::Foreign),
        ],
        Difference::RepeatedCompletion => {
            let twice = |commit: &mut Commit| {
                let completion = Completion {
                    claim: 0,
                    shape: Shape::Exact,
                };
                commit.completions = vec![completion; 2];
            };
            vec![
                enqueue(None),
                O::Claim(claim(Lease::Long, 1)),
                commit(twice),
            ]
        }
        Difference::PartialRenewal => vec![
            enqueue(None),
            enqueue(None),
            O::Claim(claim(Lease::Expired, 2)),
            O::Claim(claim(Lease::Expired, 1)),
            O::Renew(0, Lease::Long),
            O::Queue {
                session: 0,
                pending: true,
            },
        ],
        Difference::ExactClaimLeavesAlone => vec![
            enqueue(None),
            enqueue(None),
            O::Claim(claim(Lease::Expired, 2)),
            O::ClaimExactly(claim(Lease::Long, 1), vec![Batch::Number(1)]),
            completing(Shape::Exact),
        ],
        Difference::Redelivery => vec![
            enqueue(Some(0)),
            O::Claim(claim(Lease::Long, 1)),
            completing(Shape::Exact),
            enqueue(Some(0)),
        ],
        Difference::RefreshedIntent => {
            let intent = |at| O::Intent {
                attachment: 0,
                session: 0,
                at,
            };
            vec![intent(1), intent(3), O::Uncommitted(2)]
        }
        Difference::SixtyFourBits => vec![
            O::Intent {
                attachment: 0,
                session: 0,
                at: 1,
            },
            O::Uncommitted(u64::MAX),
        ],
        Difference::ArtifactKind => vec![
            O::PutArtifact(0, Kind::Generic, 0),
            O::PutArtifact(0, Kind::Environment, 1),
        ],
        other => unreachable!("{other:?} is none of sessions"),
    }
}

fn of_processes(difference: Difference) -> Vec<processes::Operation> {
    use processes::Operation as O;
    let register = O::Register(0, false);
    match difference {
        Difference::AcknowledgedInAdvance => vec![
            register,
            O::Acknowledge(0, 1),
            O::Append(
                0,
                Event {
                    kind: "wake",
                    payload: Payload::Text(0),
                    key: None,
                    target: None,
                },
            ),
            O::Wakes(0, After::Sequence(0)),
        ],
        Difference::MemoryLeaseOfNothing => vec![O::Claim {
            process: 0,
            owner: 0,
            live: true,
        }],
        Difference::MemoryTransferInPart => {
            let scope = |session| Scope {
                session,
                frame: false,
            };
            vec![
                register,
                O::Grant(scope(0), 0, 0),
                O::Transfer(scope(0), scope(1), vec![0, 1]),
                O::HandlesOf(0),
            ]
        }
        Difference::LostLease => {
            let claim = |owner, live| O::Claim {
                process: 0,
                owner,
                live,
            };
            vec![
                register,
                O::Elsewhere(Box::new(claim(0, false))),
                claim(1, true),
                O::Elsewhere(Box::new(O::Complete(0, End::Failure))),
            ]
        }
        other => unreachable!("{other:?} is none of processes"),
    }
}

fn of_host_events() -> Vec<host_events::Operation> {
    let occurrence = Occurrence {
        source: 0,
        key: 0,
        payload: 0,
        is_blank: false,
    };
    vec![
        host_events::Operation::Record(occurrence.clone()),
        host_events::Operation::Subscribe(Subscription {
            session: Some(0),
            source: 0,
            name: None,
            process: 0,
        }),
        host_events::Operation::Reserve(occurrence),
    ]
}

fn of_effects(difference: Difference) -> Vec<effects::Operation> {
    use effects::Scope as S;
    let execute = |scope, key, ends| effects::Operation::Execute {
        scope,
        kept: true,
        key: Some(key),
        effect: Effect::Code(0),
        ends,
    };
    match difference {
        Difference::SharedScope => vec![
            execute(S::Turn(0, 1), 0, Ends::Well(0)),
            execute(S::Process(1), 0, Ends::Well(1)),
        ],
        Difference::NotExecuted => vec![
            execute(S::Turn(0, 0), 0, Ends::NotExecuted(0)),
            execute(S::Turn(0, 0), 0, Ends::Well(0)),
        ],
        Difference::ReplayOfOneController => vec![
            execute(S::Turn(0, 0), 0, Ends::Well(0)),
            effects::Operation::StartReplay,
            execute(S::Turn(0, 0), 1, Ends::Well(0)),
        ],
        other => unreachable!("{other:?} is none of effects"),
    }
}
