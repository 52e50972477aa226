//! A plugin for the tests and the benchmark: it does what its input says, a command a
//! line, and returns a line for each.
#![no_std]

extern crate alloc;

lash_component_runtime::link!();

#[allow(missing_docs, unreachable_pub, unused_qualifications)]
mod bindings;
mod calls;
mod harm;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bindings::exports::lash::store::plugin_entry::Guest;
use bindings::lash::store::sqlite::Database;

struct Plugin;

bindings::export!(Plugin with_types_in bindings);

impl Guest for Plugin {
    fn run(db: &Database, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let input = String::from_utf8(input).map_err(|error| error.to_string())?;
        let mut answers = String::new();
        for line in input.lines() {
            let answer = obey(db, line)?;
            answers.push_str(&answer);
            answers.push('\n');
        }
        Ok(answers.into_bytes())
    }
}

/// Does what a line says; an error ends the run.
fn obey(db: &Database, line: &str) -> Result<String, String> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "fail" => Err(rest.to_string()),
        "repeat" => {
            let (count, line) = rest.split_once(' ').unwrap_or((rest, ""));
            let mut last = String::new();
            for _ in 0..number(count)? {
                last = obey(db, line)?;
            }
            Ok(last)
        }
        _ => match harm::harm(command, rest) {
            Some(answer) => Ok(answer),
            None => calls::call(db, command, rest),
        },
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
