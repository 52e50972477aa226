//! Components that mean harm: the store, which attacks when a blob tells it to, and its
//! tools, whose pages never end.
//!
//! `cargo xtask component` compiles this into the guest for `hostile.wasm` and
//! `hostile_tools.wasm` in `target/components`, which the tests run, and into nothing
//! else. A blob with the content `attack NAME ARGUMENT` is not stored: the attack is
//! run instead. Everything else is what the store does, so that the call after an attack
//! can be an honest one.

mod boundary;
pub(crate) mod endless;
mod hold;
mod sql;
mod time;

use alloc::string::String;

use crate::Result;
use crate::bindings::sqlite::Database;

/// What an attack returns that was not stopped.
const SURVIVED: &str = "not stopped";

/// Runs the attack that the content of a blob names, if it does, and returns what
/// `blobs.put` is to answer.
pub(crate) fn attack(db: &Database, content: &[u8]) -> Option<Result<String>> {
    let command = core::str::from_utf8(content)
        .ok()?
        .strip_prefix("attack ")?;
    let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
    if name != "hold-in-transaction" {
        hold::until_released();
    }
    let answer = match name {
        "hold" => survived(),
        "hold-in-transaction" => hold::in_transaction(db),
        "loop" => time::run_forever(),
        "loop-in-transaction" => time::run_forever_in_transaction(db),
        "loop-after-commit" => time::run_forever_after_commit(db),
        "recurse" => time::recurse(),
        "grow" => time::grow(),
        "trap" => time::trap(db),
        "leave-open" => time::leave_open(db),
        "long-list" => boundary::long_list(db),
        "same-bytes" => boundary::same_bytes(db),
        "invalid-text" => boundary::invalid_text(db),
        "invalid-answer" => Ok(boundary::invalid_answer()),
        "long-answer" => Ok(boundary::long_answer()),
        "handles" => boundary::handles(db),
        "dropped-handle" => boundary::dropped_handle(db),
        "keep-handle" => boundary::keep_handle(db),
        "kept-handle" => boundary::kept_handle(),
        "kept-handle-beside" => boundary::kept_handle_beside(db),
        "unknown-handle" => boundary::unknown_handle(),
        "cope" => boundary::cope(db, argument),
        "write" => sql::write(db, argument),
        "read" => sql::read(db, argument),
        "distinct" => sql::distinct(db),
        "sort" => sql::sort(db),
        "long-statement" => sql::long_statement(db, argument),
        "deep-statement" => sql::deep_statement(db, argument),
        "doubling-tables" => sql::doubling_tables(db),
        "doubling-names" => sql::doubling_names(db),
        "doubling-columns" => sql::doubling_columns(db),
        "computed-default" => sql::computed_default(db),
        "many-values" => sql::many_values(db, argument),
        "parameters" => sql::parameters(db, argument),
        "long-row" => sql::long_row(db),
        "fill" => sql::fill(db),
        "log" => sql::fill_log(db),
        "statements" => sql::statements(db),
        "bomb" => sql::bomb(db),
        _ => Ok(String::from("no such attack")),
    };
    Some(answer)
}

fn survived() -> Result<String> {
    Ok(SURVIVED.into())
}
