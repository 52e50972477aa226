//! Putting a record together.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::bindings::export_types::{Exported, Field, FieldValue};
use crate::bindings::types::ByteStrings;

/// A record that gets its fields one by one.
pub(crate) struct RecordBuilder {
    name: &'static str,
    fields: Vec<Field>,
    bytes: usize,
}

impl RecordBuilder {
    /// A record of this name without fields.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            fields: Vec::new(),
            bytes: name.len(),
        }
    }

    /// The record, and about how many bytes it has.
    pub(super) fn finish(self) -> (Exported, usize) {
        let record = Exported {
            name: self.name.to_string(),
            fields: self.fields,
        };
        (record, self.bytes)
    }

    fn field(mut self, name: &str, length: usize, value: FieldValue) -> Self {
        self.bytes = self.bytes.saturating_add(name.len().saturating_add(length));
        self.fields.push(Field {
            name: name.to_string(),
            value,
        });
        self
    }

    pub(crate) fn flag(self, name: &str, value: bool) -> Self {
        self.field(name, 1, FieldValue::Flag(value))
    }

    pub(crate) fn number(self, name: &str, value: i64) -> Self {
        self.optional_number(name, Some(value))
    }

    pub(crate) fn optional_number(self, name: &str, value: Option<i64>) -> Self {
        self.field(
            name,
            8,
            value.map_or(FieldValue::Nothing, FieldValue::Signed),
        )
    }

    pub(crate) fn optional_unsigned(self, name: &str, value: Option<u64>) -> Self {
        let value = value.map_or(FieldValue::Nothing, FieldValue::Unsigned);
        self.field(name, 8, value)
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.optional_text(name, Some(value))
    }

    pub(crate) fn optional_text(self, name: &str, value: Option<&str>) -> Self {
        let length = value.map_or(0, str::len);
        let value = value.map(ToString::to_string);
        self.field(
            name,
            length,
            value.map_or(FieldValue::Nothing, FieldValue::Text),
        )
    }

    pub(crate) fn texts(self, name: &str, values: Vec<String>) -> Self {
        let length = values.iter().map(String::len).sum();
        self.field(name, length, FieldValue::Texts(values))
    }

    pub(crate) fn content(self, name: &str, value: Vec<u8>) -> Self {
        self.field(name, value.len(), FieldValue::Content(value))
    }

    pub(crate) fn payload(self, name: &str, value: Vec<u8>) -> Self {
        self.field(name, value.len(), FieldValue::Payload(value))
    }

    pub(crate) fn optional_payload(self, name: &str, value: Option<Vec<u8>>) -> Self {
        match value {
            Some(value) => self.payload(name, value),
            None => self.field(name, 0, FieldValue::Nothing),
        }
    }

    pub(crate) fn payloads(self, name: &str, values: ByteStrings) -> Self {
        let length = values.bytes.len();
        self.field(name, length, FieldValue::Payloads(values))
    }
}
