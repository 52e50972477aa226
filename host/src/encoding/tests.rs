use std::collections::BTreeMap;
use std::thread;

use serde::Deserialize;

use serde_json::{Value, json};

use super::checked::NUMBER;
use super::*;

/// Lists in lists, without anything that recurses.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1.5), |value, _| Value::Array(vec![value]))
}

/// Maps in maps.
fn nested_maps(levels: usize) -> Value {
    (0..levels).fold(json!("x"), |value, _| json!({ "a": value }))
}

/// Dropping such a value would overflow the stack too.
fn drop_deep(value: Value) {
    stacker::grow(1 << 30, || drop(value));
}

/// Runs it on a thread with the stack that threads have.
fn on_a_thread(work: fn()) {
    thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

fn path() -> &'static Path {
    Path::new("x.db")
}

#[test]
fn what_has_as_many_levels_as_there_may_be_comes_back() {
    on_a_thread(|| {
        for value in [nested(MOST_LEVELS), nested_maps(MOST_LEVELS)] {
            let json = to_json(path(), "a value", "v", &value).unwrap();
            assert_eq!(levels(&json), MOST_LEVELS);
            let read: Value = from_json(path(), "a value", "v", &json).unwrap();
            assert!(read == value);
            let packed = to_msgpack(path(), "a value", "v", &value).unwrap();
            let read: Value = from_msgpack(path(), "a value", "v", &packed).unwrap();
            assert!(read == value);
        }
    });
}

#[test]
fn what_is_nested_deeper_is_refused_by_its_name() {
    on_a_thread(|| {
        for depth in [MOST_LEVELS + 1, 20_000, 100_000] {
            let value = nested(depth);
            for refused in [
                to_json(path(), "the graph node", "n1", &value),
                to_msgpack(path(), "the graph node", "n1", &value),
                to_packed_msgpack(path(), "the graph node", "n1", &value),
                check_json(path(), "the graph node", "n1", &value).map(|()| Vec::new()),
            ] {
                let error = refused.unwrap_err();
                assert!(matches!(error, Error::TooDeep { limit: 1024, .. }));
                let text = error.to_string();
                assert!(text.contains("the graph node n1 in x.db"), "{text}");
                assert!(text.contains("1024 levels"), "{text}");
            }
            drop_deep(value);
        }
    });
}

/// Such bytes may be in a file that somebody else has written.
#[test]
fn bytes_that_are_nested_deeper_are_an_error() {
    on_a_thread(|| {
        for depth in [MOST_LEVELS + 1, 100_000] {
            let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let error = read_json::<Value>(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("{depth} levels")), "{error}");
            let packed = vec![0x91; depth];
            read_msgpack::<Value>(&packed).unwrap_err();
        }
        // What is not closed is broken, whatever its depth.
        read_json::<Value>(&[b'['; 500]).unwrap_err();
        read_json::<Value>(format!("{} x", nested(500)).as_bytes()).unwrap_err();
    });
}

/// serde keeps what is flattened, tagged or untagged in a value of its own first.
#[test]
fn what_serde_buffers_is_read_at_any_allowed_depth() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Tagged,
    }
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Inner { body: Untagged },
    }
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Value(Value),
    }
    on_a_thread(|| {
        let body = Untagged::Value(nested(MOST_LEVELS - 1));
        let outer = Outer {
            inner: Tagged::Inner { body },
        };
        let json = to_json(path(), "a value", "", &outer).unwrap();
        assert!(from_json::<Outer>(path(), "a value", "", &json).unwrap() == outer);
        let packed = to_msgpack(path(), "a value", "", &outer).unwrap();
        assert!(from_msgpack::<Outer>(path(), "a value", "", &packed).unwrap() == outer);
    });
}

#[test]
fn a_number_that_json_does_not_have_is_refused() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let map = BTreeMap::from([("temperature", vec![Some(number)])]);
        let error = to_json(path(), "the session head", "s", &map).unwrap_err();
        assert_eq!(error.code(), "encode");
        let text = error.to_string();
        assert!(text.contains("the session head s"), "{text}");
        to_json(path(), "the session head", "s", &(number as f32)).unwrap_err();
        // MessagePack has them.
        let packed = to_msgpack(path(), "a blob", "", &number).unwrap();
        let read: f64 = from_msgpack(path(), "a blob", "", &packed).unwrap();
        assert_eq!(read.to_bits(), number.to_bits());
    }
}

/// The same through the deserializer of programs that keep the digits of numbers.
#[test]
fn numbers_are_read_alike_where_digits_are_kept() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        A {
            n: u64,
            v: Value,
            o: Option<i8>,
            m: BTreeMap<String, f64>,
            e: Variant,
        },
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Variant {
        Unit,
        Tuple(u8, String),
    }
    let text = r#"{"kind":"A","n":7,"v":{"a":[1,-1,-0,1.5,{}],"b":null},"o":null,"m":{"k":2.5},
        "e":{"Tuple":[1,"x"]}}"#;
    let plain: Tagged = serde_json::from_str(text).unwrap();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    assert_eq!(
        Tagged::deserialize(Plain(&mut deserializer)).unwrap(),
        plain
    );
    let kept = format!(r#"[{{"{NUMBER}":"12"}},{{"{NUMBER}":"-1.50"}},{{"{NUMBER}":"-0"}}]"#);
    let mut deserializer = serde_json::Deserializer::from_str(&kept);
    let read = Value::deserialize(Plain(&mut deserializer)).unwrap();
    assert_eq!(read, json!([12, -1.5, -0.0]));
}

#[test]
fn texts_have_no_levels() {
    assert_eq!(levels(br#"{"a[[[": "\"[[[\\", "b": [[]]}"#), 3);
    assert_eq!(levels(b"1"), 0);
}

/// What is encoded is what serde_json and rmp-serde would have encoded.
#[test]
fn the_encoding_is_that_of_the_format() {
    #[derive(serde::Serialize)]
    enum Variants {
        Unit,
        Newtype(u8),
        Tuple(i64, f32),
        Struct { a: Option<&'static str>, b: () },
    }
    #[derive(serde::Serialize)]
    struct Pair(u128, char);
    let value = (
        [
            Variants::Unit,
            Variants::Newtype(1),
            Variants::Tuple(-1, 0.1),
            Variants::Struct { a: None, b: () },
        ],
        Pair(7, 'x'),
        BTreeMap::from([(1_u8, json!({ "b": [1, 2.5, null, true], "a": "\n" }))]),
        Some(b"bytes".as_slice()),
    );
    let json = to_json(path(), "a value", "", &value).unwrap();
    assert_eq!(json, serde_json::to_vec(&value).unwrap());
    let packed = to_msgpack(path(), "a value", "", &value).unwrap();
    assert_eq!(packed, rmp_serde::to_vec_named(&value).unwrap());
}
