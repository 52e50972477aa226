//! What a plugin must not get away with.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::hint::black_box;

/// Does the harm that `command` names, if it names any.
pub(crate) fn harm(command: &str, rest: &str) -> Option<String> {
    match command {
        "loop" => loop {
            black_box(rest);
        },
        "grow" => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                let mut piece = Vec::with_capacity(1 << 20);
                piece.resize(1 << 20, 1);
                kept.push(black_box(piece));
            }
        }
        "recurse" => Some(descend(0).to_string()),
        "trap" => lash_component_runtime::trap(),
        _ => None,
    }
}

#[allow(unconditional_recursion, reason = "that is the harm")]
fn descend(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    descend(depth + 1) + frame.iter().sum::<u64>()
}
