//! JSON as it is written in the source.
//!
//! What an application stored is copied, not encoded again: the program that wrote it
//! may have been built to keep the order of members or the digits of numbers, which this
//! one need not be, and digests were made of that text.

use std::path::Path;

use lash_store_engine::observability::Chain;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest, Sha256};

use super::table::Reason;
use crate::encoding::{read_json, to_json};

/// The members of a JSON object.
pub(super) struct Object<'t>(Vec<(String, &'t str)>);

impl<'t> Object<'t> {
    /// Takes an object apart.
    pub(super) fn parse(text: &'t str) -> Result<Self, Reason> {
        let broken = || "it is no JSON object".to_owned();
        let mut members = Vec::new();
        let mut rest = text.trim_start().strip_prefix('{').ok_or_else(broken)?;
        if let Some(behind) = rest.trim_start().strip_prefix('}') {
            return match behind.trim() {
                "" => Ok(Self(members)),
                _ => Err(broken()),
            };
        }
        loop {
            let (name, _, behind) = value::<String>(rest)?;
            let behind = behind.trim_start().strip_prefix(':').ok_or_else(broken)?;
            let (IgnoredAny, member, behind) = value::<IgnoredAny>(behind)?;
            members.push((name, member));
            let behind = behind.trim_start();
            match behind.strip_prefix(',') {
                Some(behind) => rest = behind,
                None if behind.trim_end() == "}" => return Ok(Self(members)),
                None => return Err(broken()),
            }
        }
    }

    /// The text of a member.
    pub(super) fn get(&self, name: &str) -> Option<&'t str> {
        let member = self.0.iter().find(|(found, _)| found == name);
        member.map(|(_, text)| *text)
    }

    /// An object with those of the members that are there, in this order.
    pub(super) fn pick(&self, names: &[&str]) -> Vec<u8> {
        let members: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("\"{name}\":{}", self.get(name)?)))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    }
}

/// The first value in a text, its own text, and what comes behind it.
fn value<T: DeserializeOwned>(text: &str) -> Result<(T, &str, &str), Reason> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values
        .next()
        .ok_or_else(|| "it ends early".to_owned())?
        .map_err(|error| error.to_string())?;
    let (text, rest) = text
        .split_at_checked(values.byte_offset())
        .ok_or_else(|| "it ends early".to_owned())?;
    Ok((value, text.trim_start(), rest))
}

/// Decodes JSON; `what` is named if that fails.
pub(super) fn decode<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Reason> {
    read_json(text.as_bytes()).map_err(|error| format!("{what} cannot be decoded: {error}"))
}

/// Encodes as JSON. What was decoded can be encoded.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Reason> {
    to_json(Path::new(""), "the value", "", value).map_err(|error| Chain(&error).to_string())
}

/// Encodes text.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The digest that lash-core makes of an array of these values.
pub(super) fn digest(values: &[&str]) -> String {
    let mut hasher = Sha256::new();
    let mut before = "[";
    for value in values {
        hasher.update(before);
        hasher.update(value);
        before = ",";
    }
    hasher.update("]");
    format!("{:x}", hasher.finalize())
}

/// What must hold of a row.
pub(super) fn require(holds: bool, reason: &str) -> Result<(), Reason> {
    match holds {
        true => Ok(()),
        false => Err(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_as_they_are_written() {
        let text = r#" { "b" : {"y":1, "x":1.00}, "a":[1,"}"],"n":null,"t":12 } "#;
        let object = Object::parse(text).unwrap();
        assert_eq!(object.get("b"), Some(r#"{"y":1, "x":1.00}"#));
        assert_eq!(object.get("t"), Some("12"));
        assert_eq!(object.get("x"), None);
        let picked = object.pick(&["a", "x", "n", "b"]);
        let expected = r#"{"a":[1,"}"],"n":null,"b":{"y":1, "x":1.00}}"#;
        assert_eq!(String::from_utf8(picked).unwrap(), expected);
        assert!(Object::parse("{}").unwrap().0.is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "1",
            "[]",
            "{",
            "{}x",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
        ] {
            assert!(Object::parse(text).is_err(), "{text}");
        }
        for text in [r#"{"a":1}}"#, r#"{"a":1,}"#, r#"{a:1}"#, r#"{"a":1 2}"#] {
            assert!(Object::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_digest_is_that_of_lash_core() {
        let payload = serde_json::json!({ "b": [1, 2.5], "a": "\u{1F980}\n" });
        let theirs =
            lash_core::runtime::process_event_payload_hash("a \"type\"", &payload).unwrap();
        assert_eq!(
            digest(&[&quote("a \"type\""), &payload.to_string()]),
            theirs
        );
    }
}
