//! The fuzz targets without a fuzzer: over the inputs that are checked in, those that once
//! failed among them, and over inputs that are made of them, the same in every run.
//!
//! `LASH_FUZZ_CASES` sets how many are made for each target, `LASH_FUZZ_SEED` which ones. One
//! that fails is written to `fuzz/artifacts`, where cargo-fuzz puts its own.

use std::fs;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use lash_wasm_store_testing::damage::{Random, setting};
use lash_wasm_store_testing::fuzz::{TARGETS, Target, run};

/// How many panics there were, on whatever thread.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// How many inputs are made for each target unless the environment says so: as many as take
/// some seconds.
fn cases(target: &Target) -> u64 {
    let default = match target.name {
        "database_file" => 60,
        _ => 300,
    };
    setting("LASH_FUZZ_CASES", default)
}

fn directory(of: &str, target: &Target) -> PathBuf {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    fuzz.join(of).join(target.name)
}

/// The inputs that are checked in, by name.
fn checked_in(target: &Target) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for of in ["seeds", "crashes"] {
        let Ok(entries) = fs::read_dir(directory(of, target)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            inputs.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    inputs.sort();
    inputs
}

/// Runs a target; a panic of any thread is a failure. The input is written down before, because
/// the process may be ended by it.
fn assert_holds(target: &Target, name: &str, input: &[u8]) {
    let path = directory("artifacts", target).join(name.rsplit('/').next().unwrap());
    fs::write(&path, input).unwrap();
    let before = PANICS.load(Ordering::SeqCst);
    let ended = catch_unwind(AssertUnwindSafe(|| run(target.name, input)));
    if ended.is_err() || PANICS.load(Ordering::SeqCst) > before {
        panic!("{} fails with {}", target.name, path.display());
    }
    fs::remove_file(path).unwrap();
}

/// An input of another, or of nothing.
fn made(inputs: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let length = random.below(400);
    let mut input: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
    if let (false, 0..3) = (inputs.is_empty(), random.below(4)) {
        let fresh = input;
        input = inputs[random.below(inputs.len())].1.clone();
        for _ in 0..=random.below(8) {
            let at = random.below(input.len() + 1);
            match (random.below(4), input.get_mut(at)) {
                (0, _) => input.truncate(at),
                (1, _) => drop(input.splice(at..at, fresh.iter().take(8).copied())),
                (_, Some(byte)) => *byte = random.below(256) as u8,
                (_, None) => input.extend(fresh.iter().take(16)),
            }
        }
    }
    input
}

#[test]
fn targets_hold_what_they_promise() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        hook(panic);
    }));
    let seed = setting("LASH_FUZZ_SEED", 1);
    for target in &TARGETS {
        let inputs = checked_in(target);
        assert!(!inputs.is_empty(), "{} has no seeds", target.name);
        fs::create_dir_all(directory("artifacts", target)).unwrap();
        for (name, input) in &inputs {
            assert_holds(target, name, input);
        }
        for case in 0..cases(target) {
            let input = made(&inputs, &mut Random::new(seed, case));
            assert_holds(target, &format!("{seed}-{case}"), &input);
        }
        println!("{}: {} checked in", target.name, inputs.len());
    }
}
