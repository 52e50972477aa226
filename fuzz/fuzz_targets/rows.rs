//! Rows that a lying host answers: see `lash_wasm_store_tests::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lash_wasm_store_tests::fuzz::run("rows", data));
