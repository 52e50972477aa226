//! Rows that a lying host returns: see `lash_wasm_store_testing::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lash_wasm_store_testing::fuzz::run("rows", data));
