//! What the program says about itself.

use lash_wasm_store_testing::program::Run;

use crate::PROGRAM;

const COMMANDS: [&str; 7] = [
    "import", "inspect", "verify", "gc", "vacuum", "repair", "export",
];

#[test]
fn the_help_names_every_command_and_exit_code() {
    let help = Run::of(&mut PROGRAM.command(["--help"])).succeeded().stdout;
    for command in COMMANDS {
        let line = help.lines().find(|line| line.trim().starts_with(command));
        assert!(line.is_some(), "{help}");
    }
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "130 ", "141 "] {
        let line = help.lines().find(|line| line.trim().starts_with(code));
        assert!(line.is_some(), "{code}: {help}");
    }
}

#[test]
fn every_command_has_a_help_with_an_example() {
    for command in COMMANDS {
        let help = Run::of(&mut PROGRAM.command([command, "--help"]))
            .succeeded()
            .stdout;
        assert!(help.contains("Usage: lash-store"), "{help}");
        assert!(
            help.contains(&format!("\n  lash-store {command} ")),
            "{help}"
        );
        assert!(help.contains("Exit codes:"), "{help}");
        for line in help.lines() {
            assert!(line.len() <= 100, "{line}");
        }
        let short = Run::of(&mut PROGRAM.command([command, "-h"]))
            .succeeded()
            .stdout;
        assert!(short.len() < help.len());
    }
}

#[test]
fn a_wrong_command_line_is_refused_and_help_is_named() {
    for arguments in [
        &[][..],
        &["import-everything"],
        &["verify"],
        &["verify", "a", "b"],
        &["gc", "a", "--wait", "long"],
        &["export", "a", "--force"],
    ] {
        let run = Run::of(&mut PROGRAM.command(arguments)).ended(2);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains("--help"), "{}", run.stderr);
    }
}

#[test]
fn the_version_names_the_crate_and_its_sqlite() {
    let run = Run::of(&mut PROGRAM.command(["--version"])).succeeded();
    let version = env!("CARGO_PKG_VERSION");
    let sqlite = rusqlite::version();
    assert_eq!(
        run.stdout.trim(),
        format!("lash-store {version} (SQLite {sqlite})")
    );
}
