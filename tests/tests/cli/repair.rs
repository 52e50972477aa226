//! `lash-store repair`, and `export` of what can be read.

use lash_wasm_store_testing::fixtures::Place;
use lash_wasm_store_testing::program::{Run, values};

use crate::{PROGRAM, fill};

#[tokio::test]
async fn derived_data_is_repaired_and_named() {
    let place = Place::new();
    fill(place.path()).await;
    let sound = PROGRAM.on("repair", place.path()).succeeded().stdout;
    assert!(sound.contains("sound"), "{sound}");
    place
        .raw()
        .damage("UPDATE table_digests SET digests = zeroblob(8)");
    PROGRAM.on("verify", place.path()).ended(1);
    let run = PROGRAM.json("repair", place.path()).succeeded();
    let repaired = &run.values()[0];
    assert_eq!(repaired["sound"], true);
    assert_eq!(repaired["rebuilt"][0]["table"], "table_digests");
    PROGRAM.on("verify", place.path()).succeeded();
}

#[tokio::test]
async fn what_cannot_be_repaired_is_named_and_the_rest_is_exported() {
    let place = Place::new();
    fill(place.path()).await;
    place
        .raw()
        .damage("UPDATE graph_nodes SET body = x'00' WHERE node_id = 'n4'");
    let text = PROGRAM.on("repair", place.path()).ended(1).stdout;
    assert!(text.contains("graph_nodes: n4"), "{text}");

    let file = place.path().with_extension("jsonl");
    let export = |more: &[&str]| {
        let mut command = PROGRAM.command(["export", "--output"]);
        Run::of(command.arg(&file).args(more).arg(place.path()))
    };
    export(&[]).ended(1);
    assert!(!file.exists());
    export(&["--partial"]).ended(1);
    let records = values(&std::fs::read_to_string(&file).unwrap());
    let of = |name: &str| {
        records
            .iter()
            .filter(|record| record["record"] == name)
            .count()
    };
    assert_eq!((of("node"), of("end")), (29, 0));
    // The row, and that the nodes are not all.
    assert_eq!(of("corrupt"), 2);
}
