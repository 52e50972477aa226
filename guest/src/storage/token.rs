//! Secrets that prove ownership, and identifiers that never collide.

use alloc::string::String;

use crate::storage::hex::push_hex;
use crate::storage::seam::Environment;

/// A lease token: 32 random hex digits.
pub(crate) fn random(env: &impl Environment) -> String {
    random_hex(env, 2)
}

/// 16 random hex digits for each word.
pub(crate) fn random_hex(env: &impl Environment, words: usize) -> String {
    let mut text = String::with_capacity(words * 16);
    for _ in 0..words {
        push_hex(&mut text, &env.random().to_be_bytes());
    }
    text
}
