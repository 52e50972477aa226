//! The functions of databases of processes.

use lash_wasm_store_guest::bindings::import_types::{
    ImportedEnd, ImportedEvent, ImportedHandle, ImportedLease, ImportedProcess, Wake,
};
use lash_wasm_store_guest::bindings::process_types::{
    Claimed, End, EventDraft, Grant, Registered, Registration, Selection, Status,
};
use lash_wasm_store_guest::processes;
use lash_wasm_store_guest::seam::Environment;

use super::Calls;
use crate::fuzz::input::Input;

const STATUSES: [Status; 4] = [
    Status::Completed,
    Status::Failed,
    Status::Cancelled,
    Status::Running,
];
const SELECTIONS: [Selection; 2] = [Selection::All, Selection::Running];

pub(super) fn call<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(16) {
        0..3 => register(env, input, calls),
        3..7 => append(env, input, calls),
        7..9 => lease(env, input, calls),
        9..11 => handle(env, input, calls),
        11..13 => read(env, input, calls),
        13 | 14 => change(env, input, calls),
        _ => import(env, input, calls),
    }
}

fn registration(input: &mut Input<'_>) -> Registration {
    Registration {
        id: input.name(),
        hash: input.name(),
        content: input.bytes(),
    }
}

fn register<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let registered = processes::register(env, &registration(input));
    match calls.answered("processes.register", registered) {
        Some(Registered::Process(process)) => calls.numbers.push(process.number),
        Some(Registered::Conflict(hash)) => calls.keep(&hash),
        None => {}
    }
}

fn append<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let process_id = input.name();
    // Half of the drafts are of what is there, or none would be accepted.
    let basis = match input.flag() {
        false => processes::get_basis(env, &process_id, None, None),
        true => Ok(None),
    };
    let process = calls
        .answered("process-events.get-basis", basis)
        .flatten()
        .map(|basis| (basis.process.number, basis.process.last_sequence));
    let (number, last) = process.unwrap_or_else(|| (calls.number(input), input.number()));
    let draft = EventDraft {
        process_id,
        process_number: number,
        event_type: input.name(),
        replay_key: input.maybe(Input::name),
        payload_hash: input.name(),
        content: input.bytes(),
        occurred_at_ms: input.number(),
        wakes: input.flag(),
        end: match input.byte() < 200 {
            true => None,
            false => Some(End {
                status: input.pick(&STATUSES),
                outcome: input.bytes(),
            }),
        },
        last_sequence: last,
        fencing_token: input.maybe(|input| calls.number(input)),
        release: input.maybe(|input| calls.word(input)),
    };
    calls.answered("process-events.append", processes::append(env, &draft));
}

fn lease<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let id = input.name();
    match input.below(4) {
        0 | 1 => {
            let claimed = processes::claim(env, &id, &input.name(), input.number());
            let claimed = calls.answered("process-leases.claim", claimed);
            if let Some(Claimed::Lease(lease)) = claimed {
                calls.keep(&lease.token);
                calls.numbers.push(lease.fencing_token);
            }
        }
        2 => {
            let renewed = processes::renew(env, &id, &calls.word(input), input.number());
            calls.answered("process-leases.renew", renewed);
        }
        _ => {
            let released = processes::release(env, &id, &calls.word(input));
            calls.answered("process-leases.release", released);
        }
    }
}

fn handle<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let (scope, id) = (input.name(), input.name());
    match input.below(7) {
        0..3 => {
            let granted = processes::grant_handle(
                env,
                Grant {
                    session_id: input.name(),
                    scope_id: scope,
                    process_id: id,
                    descriptor: input.bytes(),
                },
            );
            calls.answered("process-handles.grant-handle", granted);
        }
        3 => {
            calls.answered(
                "process-handles.revoke",
                processes::revoke(env, &scope, &id),
            );
        }
        4 => {
            let to = input.name();
            let moved = processes::transfer(env, &scope, &id, &to, &input.names());
            calls.answered("process-handles.transfer", moved);
        }
        5 => {
            let revoked = processes::revoke_session(env, &scope);
            calls.answered("process-handles.revoke-session", revoked);
        }
        _ => {
            let of_scope = processes::of_scope(env, &scope, input.pick(&SELECTIONS), None);
            calls.answered("process-handles.of-scope", of_scope);
            let granted = processes::is_granted(env, &scope, &id);
            calls.answered("process-handles.is-granted", granted);
            calls.answered(
                "process-handles.of-process",
                processes::of_process(env, &id),
            );
        }
    }
}

fn read<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let (id, sequence) = (input.name(), input.number());
    match input.below(7) {
        0 => {
            let known = input.maybe(Input::name);
            calls.answered("processes.get", processes::get(env, &id, known.as_deref()));
        }
        1 => {
            let listed = processes::list(env, input.pick(&SELECTIONS), None);
            calls.answered("processes.list", listed);
        }
        2 => {
            calls.answered("process-events.after", processes::after(env, &id, sequence));
            let recent = processes::recent(env, &id, sequence as u32);
            calls.answered("process-events.recent", recent);
        }
        3 => {
            let wakes = processes::wakes_after(env, &id, sequence);
            calls.answered("process-events.wakes-after", wakes);
        }
        4 => {
            let first = processes::first_of_type(env, &id, &input.name(), sequence);
            calls.answered("process-events.first-of-type", first);
        }
        5 => {
            calls.answered("process-events.position", processes::get_position(env, &id));
            let last = processes::last_sequences(env, &input.names());
            calls.answered("process-events.last-sequences", last);
            calls.answered("statistics", processes::statistics(env));
        }
        _ => {
            let cursor = input.maybe(Input::bytes);
            let page = processes::read_page(env, cursor.as_deref());
            calls.answered("process-export.read-page", page);
        }
    }
}

fn change<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    let id = input.name();
    match input.below(5) {
        0 => {
            let changed = processes::set_external_ref(
                env,
                &id,
                None,
                input.bytes(),
                input.maybe(Input::number),
            );
            calls.answered("processes.set-external-ref", changed);
        }
        1 => {
            let changed = processes::set_wait(env, &id, None, input.maybe(Input::bytes), None);
            calls.answered("processes.set-wait", changed);
        }
        2 => {
            let acknowledged = processes::acknowledge_wake(env, &id, input.number());
            calls.answered("process-events.acknowledge-wake", acknowledged);
        }
        3 => {
            let prunable = processes::prunable(env, input.number(), input.number() as u32);
            calls.answered("processes.prunable", prunable);
        }
        _ => {
            let pruned = processes::prune(env, input.number(), &input.names());
            calls.answered("processes.prune", pruned);
        }
    }
}

fn event(input: &mut Input<'_>) -> ImportedEvent {
    ImportedEvent {
        event_type: input.name(),
        replay_key: input.maybe(Input::name),
        payload_hash: input.name(),
        content: input.bytes(),
        wake: input.pick(&[Wake::Nobody, Wake::Pending, Wake::Acknowledged]),
    }
}

fn import<E: Environment>(env: &E, input: &mut Input<'_>, calls: &mut Calls) {
    match input.below(4) {
        0 | 1 => {
            let added = input.list(|input| ImportedProcess {
                registration: registration(input),
                created_at_ms: input.number(),
                updated_at_ms: input.number(),
                external_ref: input.maybe(Input::bytes),
                wait: input.maybe(Input::bytes),
                end: input.maybe(|input| ImportedEnd {
                    status: input.pick(&STATUSES),
                    outcome: input.bytes(),
                    ended_at_ms: input.number(),
                }),
                fencing_token: input.number(),
                lease: input.maybe(|input| ImportedLease {
                    owner_id: input.name(),
                    token: input.name(),
                    claimed_at_ms: input.number(),
                    expires_at_ms: input.number(),
                }),
                events: input.list(event),
            });
            let added = processes::add_processes(env, &added);
            calls.answered("process-import.add-processes", added);
        }
        2 => {
            let (id, last) = (input.name(), input.number());
            let added = processes::add_events(env, &id, last, &input.list(event));
            calls.answered("process-import.add-events", added);
        }
        _ => {
            let handles = input.list(|input| ImportedHandle {
                process_id: input.name(),
                scope_id: input.name(),
                session_id: input.name(),
                descriptor: input.bytes(),
            });
            let added = processes::add_handles(env, &handles);
            calls.answered("process-import.add-handles", added);
        }
    }
}
