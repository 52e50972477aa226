//! What is random or depends on time by design, made comparable.
//!
//! A name that an engine gives (a batch, a blob, a lease) becomes the number of its
//! first appearance among the names of its kind. Two engines that answer alike give
//! the same numbers, and a number leads back to each engine's own name.

use std::collections::BTreeMap;

use serde_json::Value;

/// How the value under a key is made comparable.
enum Treatment {
    /// It becomes its number among the names of this kind.
    Named(&'static str),
    /// It is left out.
    LeftOut,
}

use Treatment::{LeftOut, Named};

/// Keys of answers whose values no two engines share.
const TREATMENTS: [(&str, Treatment); 18] = [
    ("batch_id", Named("batch")),
    ("checkpoint_ref", Named("checkpoint")),
    ("tool_state_ref", Named("tool")),
    ("plugin_snapshot_ref", Named("plugin")),
    ("execution_state_ref", Named("execution")),
    ("lease_token", Named("lease")),
    // Made of the above, of a sequence that the native crate uses again, and of a
    // count that each engine starts where it likes.
    ("claim_id", LeftOut),
    ("item_id", LeftOut),
    ("enqueue_seq", LeftOut),
    ("fencing_token", LeftOut),
    // When it happened.
    ("enqueued_at_ms", LeftOut),
    ("claimed_at_epoch_ms", LeftOut),
    ("expires_at_epoch_ms", LeftOut),
    ("committed_at_epoch_ms", LeftOut),
    ("created_at_ms", LeftOut),
    ("updated_at_ms", LeftOut),
    ("occurred_at_ms", LeftOut),
    ("occurred_at", LeftOut),
];

/// The names that one engine gave.
#[derive(Clone, Default)]
pub(crate) struct Names(BTreeMap<&'static str, Vec<String>>);

impl Names {
    /// The number of a name among those of its kind.
    pub(crate) fn number(&mut self, kind: &'static str, name: &str) -> usize {
        let known = self.0.entry(kind).or_default();
        match known.iter().position(|known| known == name) {
            Some(number) => number,
            None => {
                known.push(name.to_owned());
                known.len() - 1
            }
        }
    }

    /// The name with a number, counted round; none if there is no name of the kind.
    pub(crate) fn name(&self, kind: &'static str, number: usize) -> Option<&str> {
        let known = self.0.get(kind)?;
        Some(known[number % known.len()].as_str())
    }

    /// Makes an answer comparable.
    pub(crate) fn comparable(&mut self, mut value: Value) -> Value {
        self.visit(&mut value);
        value
    }

    fn visit(&mut self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.visit(value)),
            Value::Object(fields) => {
                for (key, treatment) in &TREATMENTS {
                    match (treatment, fields.get(*key)) {
                        (LeftOut, Some(_)) => drop(fields.remove(*key)),
                        (Named(kind), Some(Value::String(name))) => {
                            let number = self.number(kind, name);
                            fields.insert((*key).to_owned(), number.into());
                        }
                        _ => {}
                    }
                }
                fields.values_mut().for_each(|value| self.visit(value));
            }
            _ => {}
        }
    }
}
