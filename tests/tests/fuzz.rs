//! The fuzz targets of `fuzz/`, with any Rust and without a fuzzer: over the inputs that are
//! checked in, those that have failed before among them, and over variations of these.
//!
//! `LASH_FUZZ_CASES` says how many variations of each input there are, 4 unless it is set.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use lash_wasm_store_tests::damage::{Random, setting};
use lash_wasm_store_tests::fuzz::{self, TARGETS};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The inputs of a target, by file.
fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths = Vec::new();
    for folder in ["seeds", "crashes"] {
        let folder = directory().join(folder).join(target);
        if let Ok(entries) = fs::read_dir(&folder) {
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    paths.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    paths.into_iter().map(read).collect()
}

/// The input with a few bytes changed, left out or doubled.
fn varied(input: &[u8], random: &mut Random) -> Vec<u8> {
    let mut varied = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(varied.len() + 1);
        match random.below(4) {
            0 => varied.truncate(at.max(1)),
            1 => varied.insert(at, random.below(256) as u8),
            2 => varied.extend_from_within(at..),
            _ => {
                if let Some(byte) = varied.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
        }
    }
    varied
}

fn check(target: &str) {
    let inputs = inputs(target);
    assert!(inputs.len() > 4, "{target} has no seeds");
    let cases = setting("LASH_FUZZ_CASES", 4);
    for (path, input) in &inputs {
        for case in 0..=cases {
            let input = match case {
                0 => input.clone(),
                _ => varied(input, &mut Random::new(input.len() as u64, case)),
            };
            let run = catch_unwind(AssertUnwindSafe(|| fuzz::run(target, &input)));
            assert!(
                run.is_ok(),
                "{target} fails on variation {case} of {}: {input:?}",
                path.display()
            );
        }
    }
}

#[test]
fn rows_of_a_host_that_lies() {
    check("rows");
}

#[test]
fn stored_blobs() {
    check("blob_frame");
}

#[test]
fn database_files() {
    check("database_file");
}

#[test]
fn calls_with_any_arguments() {
    check("wit_arguments");
}

/// What is not built by `cargo fuzz` is not fuzzed.
#[test]
fn cargo_fuzz_has_every_target() {
    let sources = fs::read_dir(directory().join("fuzz_targets")).unwrap();
    let built: BTreeSet<_> = sources
        .map(|source| source.unwrap().path())
        .map(|source| source.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let named = TARGETS.iter().map(|target| target.name.to_owned());
    assert_eq!(built, named.collect());
}
