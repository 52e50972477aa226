//! Sets the cfg `components` if the components of the tests can be built: where the
//! target is not installed, the tests that need them are ignored, by name. In continuous
//! integration that is an error.

use std::env;
use std::path::Path;
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(components)");
    println!("cargo::rerun-if-env-changed=CI");
    let rustc = env::var_os("RUSTC").expect("cargo names the compiler");
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .expect("the compiler runs");
    let library = String::from_utf8(output.stdout).expect("a path in UTF-8");
    let library = Path::new(library.trim());
    if library.is_dir() {
        println!("cargo::rustc-cfg=components");
    } else if env::var_os("CI").is_some() {
        println!("cargo::error=the tests need `rustup target add {TARGET}`");
    }
    // The directory of all targets, which changes when one is installed.
    if let Some(targets) = library.ancestors().nth(2) {
        println!("cargo::rerun-if-changed={}", targets.display());
    }
}
