//! What calls were answered, so that later ones can be about it.

use std::fmt::Debug;

use lash_wasm_store_guest::Result;
use lash_wasm_store_guest::bindings::session_types::Completion;
use lash_wasm_store_guest::bindings::types::Error;

use crate::fuzz::input::Input;

/// The calls of a sequence.
#[derive(Default)]
pub(in crate::fuzz) struct Calls {
    /// Whether errors that say that the store is at fault are a failure.
    judged: bool,
    /// What was called.
    pub(super) made: Vec<&'static str>,
    /// Whether the session was retired.
    pub(super) retired: bool,
    pub(super) revision: Option<u64>,
    /// Keys of blobs, identifiers and tokens that were answered.
    pub(super) words: Vec<String>,
    /// Numbers that were answered.
    pub(super) numbers: Vec<u64>,
    pub(super) held: Vec<Completion>,
}

impl Calls {
    /// Calls of which every answer is judged.
    pub(in crate::fuzz) fn judged() -> Self {
        Self {
            judged: true,
            ..Self::default()
        }
    }

    /// Takes an answer of a function.
    pub(super) fn answered<T: Debug>(
        &mut self,
        function: &'static str,
        answer: Result<T>,
    ) -> Option<T> {
        self.made.push(function);
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                let fault = matches!(error, Error::Sqlite(_) | Error::Corrupt(_));
                assert!(
                    !(self.judged && fault),
                    "{function}: {error:?} after {:?}",
                    self.made
                );
                None
            }
        }
    }

    pub(super) fn keep(&mut self, word: &str) {
        if self.words.len() < 32 {
            self.words.push(word.to_owned());
        }
    }

    /// A word that was answered, or any.
    pub(super) fn word(&self, input: &mut Input<'_>) -> String {
        match self.words.is_empty() || input.byte() < 64 {
            true => input.name(),
            false => input.pick(&self.words),
        }
    }

    /// A number that was answered, or any.
    pub(super) fn number(&self, input: &mut Input<'_>) -> u64 {
        match self.numbers.is_empty() || input.byte() < 64 {
            true => input.number(),
            false => input.pick(&self.numbers),
        }
    }
}
