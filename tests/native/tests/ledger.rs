//! The ledger of defects is as it should be: the native crate shows each defect
//! that is confirmed, and this crate shows none.

use std::process::Command;

#[test]
fn the_native_crate_shows_its_defects_and_this_crate_none() {
    let output = Command::new(env!("CARGO_BIN_EXE_ledger")).output().unwrap();
    let ledger = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    print!("{ledger}");
    assert!(output.status.success(), "{ledger}\n{errors}");
}
