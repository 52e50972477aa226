//! R1 to R18: races, leases, hangs, panics.

mod claims;
mod clocks;
mod effects;
mod files;
mod panics;
mod processes;

use super::engine;
use crate::scenario::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new(
            "R1",
            "an effect takes longer than its lease, and a second worker wants it",
            |directory| Box::pin(effects::outlasts_its_lease(directory)),
        ),
        Scenario::new(
            "R2",
            "an effect is claimed for 1 s, after 1.5 s of waiting for the write lock",
            |directory| Box::pin(effects::claimed_after_waiting(directory)),
        ),
        Scenario::new(
            "R3",
            "turns of two sessions have the same identifier",
            |directory| Box::pin(effects::turns_of_one_name(directory)),
        ),
        Scenario::new(
            "R4",
            "an effect fails because the database is locked, and is tried again",
            |directory| Box::pin(effects::fails_for_now(directory)),
        ),
        Scenario::new(
            "R5",
            "a turn is replayed while another turn of the host is executed",
            |directory| Box::pin(effects::replay_beside_execution(directory)),
        ),
        Scenario::new(
            "R6",
            "claimed work is cancelled; its worker claims other work, and commits the first",
            |_| Box::pin(claims::cancelled_and_committed()),
        ),
        Scenario::new(
            "R7",
            "two handles of a session enqueue work in turn",
            |directory| Box::pin(claims::two_handles_enqueue(directory)),
        ),
        Scenario::new(
            "R8",
            "a claim of two batches is renewed after one of them was taken over",
            |_| Box::pin(claims::renewed_in_part()),
        ),
        Scenario::new(
            "R9",
            "a worker renews its lease, is stopped, and ends the process after a takeover",
            |directory| Box::pin(processes::ended_after_a_takeover(directory)),
        ),
        Scenario::new(
            "R10",
            "two batches are claimed together, the second for the 6th time",
            |_| Box::pin(claims::joined()),
        ),
        Scenario::new(
            "R11",
            "a value that cannot be encoded, a checkpoint that cannot be stored, the last revision",
            |directory| Box::pin(panics::panics(directory)),
        ),
        Scenario::new(
            "R12",
            "two nodes are committed, each the parent of the other",
            |_| Box::pin(panics::cycle()),
        ),
        Scenario::new("R13", "times and limits at the end of their range", |_| {
            Box::pin(clocks::end_of_the_range())
        }),
        Scenario::new(
            "R14",
            "the clock of the host moves on by the time of a lease, then to before 1970",
            |directory| Box::pin(clocks::of_the_host(directory)),
        ),
        Scenario::new(
            "R15",
            "a file of host events is opened as one of effects, and as a session",
            |directory| Box::pin(files::another_kind(directory)),
        ),
        Scenario::new(
            "R16",
            "claims are dropped while they wait for the write lock",
            |directory| Box::pin(claims::dropped(directory)),
        ),
        Scenario::new(
            "R17",
            "a damaged row inflates to 2048 times of what was stored",
            |directory| Box::pin(files::inflated(directory)),
        ),
        Scenario::new(
            "R18",
            "a process ends just before somebody begins to wait; no timer fires",
            |_| Box::pin(processes::ends_before_the_wait()),
        ),
    ]
}
