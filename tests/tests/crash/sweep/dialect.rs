//! What SQL the statements of all operations need.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lash_wasm_store_testing::dialect::named_functions;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// The statistics called a function that SQLite has had since 3.43, although the
/// specification promised that 3.24 is enough, so they failed in hosts with an older one.
#[test]
fn statements_call_the_functions_that_the_specification_names() {
    let called: BTreeSet<String> = super::tables()
        .iter()
        .flat_map(|table| functions(&table.statements()))
        .collect();
    assert_eq!(called, named_functions());
}

/// The functions that statements call, as SQLite's compiler sees them.
fn functions(statements: &BTreeSet<String>) -> BTreeSet<String> {
    let mut connection = Connection::open_in_memory().unwrap();
    let called = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&called);
    connection
        .authorizer(Some(move |context: AuthContext<'_>| {
            if let AuthAction::Function { function_name } = context.action {
                seen.lock().unwrap().insert(function_name.to_owned());
            }
            Authorization::Allow
        }))
        .unwrap();
    // The others are compiled only, which takes the tables and the indexes.
    for kind in ["CREATE TABLE", "CREATE INDEX", "CREATE UNIQUE INDEX"] {
        for sql in statements.iter().filter(|sql| sql.starts_with(kind)) {
            connection.execute_batch(sql).unwrap();
        }
    }
    for sql in statements.iter().filter(|sql| !sql.starts_with("CREATE")) {
        connection.prepare(sql).unwrap();
    }
    let called = called.lock().unwrap();
    called.clone()
}
