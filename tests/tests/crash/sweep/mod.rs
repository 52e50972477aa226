//! A crash or an error at every statement of every operation that the component
//! exports.
//!
//! Whatever happens, the database holds all of a call or nothing of it, and goes on
//! working; a call that is made again is answered as the tables say.

mod coverage;
mod deployment_import;
mod dialect;
mod effects;
mod host_events;
mod process_handles;
mod processes;
mod run;
mod session;
mod session_commit;
mod session_import;
mod session_queue;
mod session_start;

fn tables() -> [run::Table; 4] {
    [
        session::table(),
        processes::table(),
        host_events::table(),
        effects::table(),
    ]
}

#[test]
fn every_exported_function_is_swept() {
    let tables = tables();
    let operations = tables.iter().flat_map(|table| &table.operations);
    let swept = operations.map(|operation| operation.function.to_owned());
    coverage::assert_covered(&swept.collect());
}

#[test]
fn sessions_survive_a_fault_at_every_statement() {
    session::table().sweep();
}

#[test]
fn processes_survive_a_fault_at_every_statement() {
    processes::table().sweep();
}

#[test]
fn host_events_survive_a_fault_at_every_statement() {
    host_events::table().sweep();
}

#[test]
fn effects_survive_a_fault_at_every_statement() {
    effects::table().sweep();
}
