//! One thing that is exported, as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::wit::export_types as wit;
use crate::wit::types::ByteStrings;

/// The fields that this crate encodes as MessagePack; all other payloads are JSON.
const MESSAGE_PACK: [&str; 1] = ["turn_state"];

/// One thing that a database holds. It serializes as an object with the name as
/// `record`, and its fields; `docs/export.md` in the repository lists them.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    name: String,
    fields: Vec<(String, Value)>,
}

impl Record {
    /// What it is, for example `node`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a field; none if it has no such field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value)
    }

    pub(super) fn new(name: &str, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let fields = fields.into_iter();
        Self {
            name: name.to_owned(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }

    pub(super) fn from_wit(record: wit::Exported) -> Self {
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in record.fields {
            let (value, encoding) = match field.value {
                wit::FieldValue::Nothing => (Value::Null, None),
                wit::FieldValue::Flag(value) => (value.into(), None),
                wit::FieldValue::Signed(value) => (value.into(), None),
                wit::FieldValue::Unsigned(value) => (value.into(), None),
                wit::FieldValue::Text(value) => (value.into(), None),
                wit::FieldValue::Texts(values) => (values.into(), None),
                wit::FieldValue::Content(bytes) => content(bytes),
                wit::FieldValue::Payload(bytes) => payload(&field.name, &bytes),
                wit::FieldValue::Payloads(items) => payloads(&items),
            };
            let encoding = encoding.map(|encoding| (encoding_of(&field.name), encoding.into()));
            fields.push((field.name, value));
            fields.extend(encoding);
        }
        Self {
            name: record.name,
            fields,
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len().saturating_add(1)))?;
        map.serialize_entry("record", &self.name)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The field that says how another one is encoded.
fn encoding_of(field: &str) -> String {
    format!("{field}_encoding")
}

/// Bytes that must be the same when they are read back.
fn content(bytes: Vec<u8>) -> (Value, Option<&'static str>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text.into(), Some("utf-8")),
        Err(error) => (base64(error.as_bytes()), Some("base64")),
    }
}

/// How many levels of MessagePack become JSON: as many as JSON is read with. More would
/// overflow the stack.
const MOST_LEVELS: usize = 128;

/// What the application encoded, as JSON if that is possible.
fn payload(field: &str, bytes: &[u8]) -> (Value, Option<&'static str>) {
    if MESSAGE_PACK.contains(&field) {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        deserializer.set_max_depth(MOST_LEVELS);
        return match Value::deserialize(&mut deserializer) {
            Ok(value) => (value, Some("messagepack")),
            Err(_) => (base64(bytes), Some("base64")),
        };
    }
    match serde_json::from_slice(bytes) {
        Ok(value) => (value, Some("json")),
        Err(_) => (base64(bytes), Some("base64")),
    }
}

/// Several payloads, all in the same encoding.
fn payloads(items: &ByteStrings) -> (Value, Option<&'static str>) {
    let decoded: Result<Vec<Value>, _> = items.iter().map(serde_json::from_slice).collect();
    match decoded {
        Ok(values) => (values.into(), Some("json")),
        Err(_) => {
            let values: Vec<Value> = items.iter().map(base64).collect();
            (values.into(), Some("base64"))
        }
    }
}

fn base64(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exported(value: wit::FieldValue, field: &str) -> Value {
        let record = Record::from_wit(wit::Exported {
            name: "thing".to_owned(),
            fields: vec![wit::Field {
                name: field.to_owned(),
                value,
            }],
        });
        assert_eq!(record.name(), "thing");
        serde_json::to_value(&record).unwrap()
    }

    #[test]
    fn every_value_has_its_form() {
        use wit::FieldValue as V;
        for (value, expected) in [
            (V::Nothing, json!({"record": "thing", "a": null})),
            (V::Flag(true), json!({"record": "thing", "a": true})),
            (V::Signed(-1), json!({"record": "thing", "a": -1})),
            (
                V::Unsigned(u64::MAX),
                json!({"record": "thing", "a": u64::MAX}),
            ),
            (
                V::Texts(vec!["x".to_owned()]),
                json!({"record": "thing", "a": ["x"]}),
            ),
            (
                V::Content(b"{}".to_vec()),
                json!({"record": "thing", "a": "{}", "a_encoding": "utf-8"}),
            ),
            (
                V::Content(vec![0xff, 0]),
                json!({"record": "thing", "a": "/wA=", "a_encoding": "base64"}),
            ),
            (
                V::Payload(b"{\"b\": 0.1}".to_vec()),
                json!({"record": "thing", "a": {"b": 0.1}, "a_encoding": "json"}),
            ),
            (
                V::Payload(vec![0x81]),
                json!({"record": "thing", "a": "gQ==", "a_encoding": "base64"}),
            ),
            (
                V::Payloads(ByteStrings::from_iter(["1", "[]"])),
                json!({"record": "thing", "a": [1, []], "a_encoding": "json"}),
            ),
            (
                V::Payloads(ByteStrings::from_iter(["1", "x"])),
                json!({"record": "thing", "a": ["MQ==", "eA=="], "a_encoding": "base64"}),
            ),
        ] {
            assert_eq!(exported(value, "a"), expected);
        }
    }

    #[test]
    fn message_pack_is_shown_as_json_if_it_can_be() {
        let bytes = rmp_serde::to_vec(&json!({"b": [1, null]})).unwrap();
        let shown = exported(wit::FieldValue::Payload(bytes), "turn_state");
        assert_eq!(shown["turn_state"], json!({"b": [1, null]}));
        assert_eq!(shown["turn_state_encoding"], "messagepack");
        // A list of bytes has no form in JSON.
        let shown = exported(wit::FieldValue::Payload(vec![0xc4, 1, 0xff]), "turn_state");
        assert_eq!(shown["turn_state_encoding"], "base64");
    }
}
