//! Reading all that a database holds, to write it elsewhere.

mod deployment;
mod session;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lash_wasm_store::inspect::{Inspector, Records};
use lash_wasm_store_testing::fixtures::Raw;
use serde_json::Value;

/// All records of a file, by name, as a program would read them from JSON lines.
type ByName = BTreeMap<String, Vec<Value>>;

async fn records(path: &Path) -> ByName {
    let inspector = Inspector::open(path).await.unwrap();
    rest(&mut inspector.records()).await
}

/// What is left of the records.
async fn rest(records: &mut Records) -> ByName {
    let mut found = ByName::new();
    while let Some(page) = records.next_page().await.unwrap() {
        for record in page {
            let line = serde_json::to_string(&record).unwrap();
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["record"], record.name());
            let of_name = found.entry(record.name().to_owned()).or_default();
            of_name.push(value);
        }
    }
    found
}

/// Every table has as many records as rows.
fn assert_complete(path: &Path, records: &ByName, tables: &[(&str, &str)]) {
    let raw = Raw::open(path);
    for (name, table) in tables {
        let rows = raw.integer(&format!("SELECT count(*) FROM {table}"));
        let found = records.get(*name).map_or(0, Vec::len);
        assert_eq!(found, usize::try_from(rows).unwrap(), "{name}");
        assert!(rows > 0, "the fixture has no {name}");
    }
}

/// The bytes of a field with an encoding.
fn bytes(record: &Value, field: &str) -> Vec<u8> {
    let text = record[field].as_str().unwrap();
    match record[format!("{field}_encoding")].as_str().unwrap() {
        "utf-8" => text.as_bytes().to_vec(),
        "base64" => STANDARD.decode(text).unwrap(),
        other => panic!("{other}"),
    }
}
