//! The rules that a host of the component must keep, on this crate's own host and on
//! broken ones.
//!
//! `components/conformance` is the component that checks; here it runs on this crate's host, by
//! its public API, and on one that can be broken in a chosen way. Each way must be
//! found by the rule that is named with it, or the rule would be worth nothing. The
//! hosts in `tests/embedding` are checked by `super::embedding`.

mod driver;
mod mutant;
mod ours;

use std::sync::OnceLock;

use driver::{Driver, Host, Rule};
use lash_wasm_store_testing::dialect::named_functions;
use mutant::{MUTATIONS, Mutant, Mutation};
use ours::Ours;
use wasmtime::component::Component;
use wasmtime::{Cache, Config, Engine};
use xtask::build::built;
use xtask::{CONFORMANCE, workspace_root};

fn component() -> &'static (Engine, Component) {
    static COMPONENT: OnceLock<(Engine, Component)> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let mut config = Config::new();
        config.cache(Cache::from_file(None).ok());
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, built(&CONFORMANCE).unwrap()).unwrap();
        (engine, component)
    })
}

fn driver<H: Host>(config: H::Config) -> Driver<H> {
    let (engine, component) = component();
    Driver::new(config, engine, component).unwrap()
}

fn broken<H: Host>(driver: &Driver<H>) -> Vec<String> {
    let rules = driver.rules().unwrap();
    assert!(rules.len() >= 40, "{} rules", rules.len());
    rules
        .iter()
        .filter_map(|rule| {
            let wrong = driver.check(rule).err()?;
            Some(format!("{}: {wrong}", rule.name))
        })
        .collect()
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn this_crates_host_keeps_all_rules() {
    let broken = broken(&driver::<Ours>(()));
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What is found in the broken hosts is then the breakage.
#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn a_host_that_is_not_broken_keeps_all_rules() {
    let broken = broken(&driver::<Mutant>(None));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn every_breakage_is_found_by_its_rule() {
    let rules = driver::<Ours>(()).rules().unwrap();
    let missed: Vec<String> = MUTATIONS
        .iter()
        .filter(|(mutation, name)| {
            let rule = named(&rules, name);
            driver::<Mutant>(Some(*mutation)).check(rule).is_ok()
        })
        .map(|(mutation, rule)| format!("{mutation:?} is not found by {rule}"))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// A rule that no breakage breaks is one of which nobody knows whether it checks
/// anything.
#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn every_rule_finds_a_breakage() {
    let rules = driver::<Ours>(()).rules().unwrap();
    let without: Vec<&str> = rules
        .iter()
        .map(|rule| rule.name.as_str())
        .filter(|name| !MUTATIONS.iter().any(|(_, rule)| rule == name))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}

/// The rule of the dialect calls the functions that the specification names: none more,
/// or a host that has these alone would break it, and none fewer.
#[test]
fn the_rule_of_the_dialect_calls_every_named_function_and_no_other() {
    let rules = driver::<Ours>(()).rules().unwrap();
    let rule = named(&rules, "sql-of-the-component");
    let check = |functions: Vec<String>| {
        let mutation = Mutation::HasFunctions(functions.leak());
        driver::<Mutant>(Some(mutation)).check(rule)
    };
    let all: Vec<String> = named_functions().into_iter().collect();
    check(all.clone()).unwrap();
    for missing in &all {
        let others = all.iter().filter(|name| *name != missing).cloned();
        assert!(check(others.collect()).is_err(), "{missing}");
    }
}

/// A rule says what the specification says, in its words.
#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn every_rule_is_a_sentence_of_the_wit() {
    let text: String = [
        "sqlite.wit",
        "deps/clocks/wall-clock.wit",
        "deps/random/random.wit",
    ]
    .iter()
    .map(|file| {
        let path = workspace_root().unwrap().join("wit").join(file);
        words(&std::fs::read_to_string(path).unwrap())
    })
    .collect();
    for rule in driver::<Ours>(()).rules().unwrap() {
        let statement = words(&rule.statement);
        assert!(text.contains(&statement), "{}: {statement}", rule.name);
    }
}

/// The list of rules that embedders read.
#[test]
#[cfg_attr(not(components), ignore = "needs `rustup target add wasm32-wasip2`")]
fn every_rule_is_in_the_documentation() {
    let path = workspace_root().unwrap().join("docs/embedding.md");
    let text = std::fs::read_to_string(path).unwrap();
    for rule in driver::<Ours>(()).rules().unwrap() {
        assert!(text.contains(&format!("`{}`", rule.name)), "{}", rule.name);
    }
}

fn named<'a>(rules: &'a [Rule], name: &str) -> &'a Rule {
    rules
        .iter()
        .find(|rule| rule.name == name)
        .unwrap_or_else(|| panic!("there is no rule {name}"))
}

/// The words of a text, without the marks of comments and lists.
fn words(text: &str) -> String {
    text.split_whitespace()
        .filter(|word| !matches!(*word, "///" | "-"))
        .collect::<Vec<_>>()
        .join(" ")
}
