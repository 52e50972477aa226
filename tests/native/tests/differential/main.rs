//! Every store beside the native crate's, and lash-core's in memory where there is
//! one: the same random operations, and every answer compared.
//!
//! What is random or depends on time by design is replaced by a number in order of
//! first appearance, or left out ([`names`]). Where this crate differs on purpose,
//! [`differences`] says when and why; whatever else differs fails, with the shortest
//! sequence that shows it.
//!
//! `LASH_DIFFERENTIAL_CASES` sets how many sequences each machine runs, and
//! `LASH_DIFFERENTIAL_SEED` chooses others.

mod answer;
mod differences;
mod effects;
mod examples;
mod host_events;
mod machine;
mod names;
mod processes;
mod session;

use machine::random_sequences;

#[test]
fn sessions_are_answered_alike() {
    random_sequences::<session::Sessions>();
}

#[test]
fn processes_are_answered_alike() {
    random_sequences::<processes::Processes>();
}

#[test]
fn host_events_are_answered_alike() {
    random_sequences::<host_events::HostEvents>();
}

#[test]
fn effects_are_answered_alike() {
    random_sequences::<effects::Effects>();
}
