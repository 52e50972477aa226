//! A component that answers anything: every exported function makes its answer out of
//! bytes that follow from the time, which the test chooses.
//!
//! Half of the words are 0, others are small numbers, addresses of the same bytes, the
//! largest number there is, or anything. So there are answers that the component model
//! refuses (an enum without such a case, a list beyond the memory, text that is no UTF-8),
//! and answers that it lets pass: absurd numbers, keys and payloads that nobody wrote,
//! lists that are empty or too long.

mod asked;
mod reentrance;

pub use reentrance::query;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use lash_wasm_store::{Limits, StoreBuilder, StoreComponent};
use lash_wasm_store_testing::contained::contained;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, WorldItem};

/// Where the bytes are of which answers are made, and where arguments are put.
const ANSWER: u32 = 1024;
const WORDS: u32 = 4096;
const ARGUMENTS: u32 = 1 << 20;

/// Fills the bytes from the time; with zeros at the time 0, which makes every answer a
/// success with nothing in it.
fn prelude(tricks: &Tricks) -> String {
    let Tricks { realloc, start, .. } = tricks;
    let end = ANSWER + 4 * WORDS;
    format!(
        r#"
    (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))
    (import "lash:store/sqlite@0.1.0" "[resource-drop]database" (func $give_back (param i32)))
    (import "lash:store/sqlite@0.1.0" "[method]database.begin"
        (func $begin (param i32 i32 i32)))
    (import "lash:store/sqlite@0.1.0" "[method]transaction.query"
        (func $query (param i32 i32 i32 i32 i32 i32)))
    (memory (export "memory") 64)
    (data (i32.const 512) "SELECT 1")
    (func $started {start})
    (start $started)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        {realloc} (i32.const {ARGUMENTS}))
    (func $answer (param $function i64) (result i32)
        (local $seed i64) (local $at i32) (local $any i32) (local $word i32)
        (call $now (i32.const 0))
        (local.set $seed (i64.load (i32.const 0)))
        (if (i64.ne (local.get $seed) (i64.const 0))
            (then (local.set $seed (i64.mul
                (i64.xor (local.get $seed) (i64.shl (local.get $function) (i64.const 40)))
                (i64.const 0x9e3779b97f4a7c15)))))
        (local.set $at (i32.const {ANSWER}))
        (loop $next
            (local.set $seed (i64.xor (local.get $seed) (i64.shl (local.get $seed) (i64.const 13))))
            (local.set $seed (i64.xor (local.get $seed) (i64.shr_u (local.get $seed) (i64.const 7))))
            (local.set $seed (i64.xor (local.get $seed) (i64.shl (local.get $seed) (i64.const 17))))
            (local.set $any (i32.wrap_i64 (i64.shr_u (local.get $seed) (i64.const 32))))
            (local.set $word (i32.const 0))
            (block $chosen
                (br_if $chosen (i32.lt_u (i32.and (local.get $any) (i32.const 15)) (i32.const 8)))
                (local.set $word (i32.and (i32.shr_u (local.get $any) (i32.const 4)) (i32.const 3)))
                (br_if $chosen (i32.lt_u (i32.and (local.get $any) (i32.const 15)) (i32.const 12)))
                (local.set $word (i32.add (i32.const {ANSWER})
                    (i32.and (local.get $any) (i32.const 0x1ff8))))
                (br_if $chosen (i32.lt_u (i32.and (local.get $any) (i32.const 15)) (i32.const 14)))
                (local.set $word (i32.const -1))
                (br_if $chosen (i32.eq (i32.and (local.get $any) (i32.const 15)) (i32.const 14)))
                (local.set $word (local.get $any)))
            (i32.store (local.get $at) (local.get $word))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const {end}))))
        (i32.const {ANSWER}))
"#
    )
}

/// What a component does beside answering, in the text format.
#[derive(Default)]
struct Tricks {
    /// When it is instantiated.
    start: &'static str,
    /// When it is called with a database, which is its first local.
    called: &'static str,
    /// When the host asks it for memory.
    realloc: &'static str,
    /// When the host has read an answer.
    read: &'static str,
}

fn component(tricks: &Tricks) -> Vec<u8> {
    with_world(tricks, "store")
}

/// An honest one of another world.
pub fn component_of(world: &str) -> Vec<u8> {
    with_world(&Tricks::default(), world)
}

fn with_world(tricks: &Tricks, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = format!("(module {}", prelude(tricks));
    let mut number = 0;
    for (key, export) in &resolve.worlds[world].exports {
        let WorldItem::Interface { id, .. } = export else {
            panic!("only interfaces are exported");
        };
        let interface = resolve.name_world_key(key);
        for function in resolve.interfaces[*id].functions.values() {
            let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
            assert_eq!(signature.results.len(), 1, "{}", function.name);
            number += 1;
            write!(module, "(func (export \"{interface}#{}\")", function.name).unwrap();
            for param in &signature.params {
                write!(module, " (param {})", core_type(*param)).unwrap();
            }
            module.push_str(" (result i32) ");
            if function.params.iter().any(|param| param.name == "db") {
                module.push_str(tricks.called);
                module.push_str("(call $give_back (local.get 0)) ");
            }
            writeln!(module, "(call $answer (i64.const {number})))").unwrap();
            if !tricks.read.is_empty() {
                let (name, read) = (&function.name, tricks.read);
                let export = format!("cabi_post_{interface}#{name}");
                writeln!(module, "(func (export \"{export}\") (param i32) {read})").unwrap();
            }
        }
    }
    module.push(')');
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).unwrap().encode().unwrap()
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// Chooses what is answered: nothing at first, then something else each time.
#[derive(Clone, Default)]
struct Lies(Arc<AtomicU64>);

impl Lies {
    fn builder(&self, component: StoreComponent) -> StoreBuilder {
        let lies = self.clone();
        StoreBuilder::new()
            .component(component)
            .clock(move || UNIX_EPOCH + Duration::from_secs(lies.next()))
    }

    fn begin(&self, seed: u64) {
        self.0.store(seed << 16, Ordering::SeqCst);
    }

    fn next(&self) -> u64 {
        match self.0.load(Ordering::SeqCst) {
            0 => 0,
            _ => self.0.fetch_add(1, Ordering::SeqCst),
        }
    }
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Tally {
    answers: usize,
    errors: usize,
}

impl Tally {
    /// Whatever is answered, the host has not panicked over it.
    fn add<T, E: std::fmt::Debug>(&mut self, answer: Result<T, E>) {
        match answer {
            Ok(_) => self.answers += 1,
            Err(error) => {
                let text = format!("{error:?}");
                assert!(!text.contains("panicked"), "{text}");
                self.errors += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_makes_the_host_panic() {
    let component =
        StoreComponent::untrusted(&component(&Tricks::default()), Limits::default()).unwrap();
    let lies = Lies::default();
    let mut tally = Tally::default();
    let rounds = std::env::var("LASH_LIES").map_or(100, |rounds| rounds.parse().unwrap());
    for seed in 1..=rounds {
        lies.begin(0);
        let asked = asked::Asked::open(&lies, &component).await;
        lies.begin(seed);
        asked.ask(&mut tally).await;
    }
    assert!(tally.answers > 0 && tally.errors > 0, "{tally:?}");
    contained(
        "answers made of any bytes",
        "the component model, and checks of the host",
        &format!("{} answers, {} typed errors", tally.answers, tally.errors),
    );
}
