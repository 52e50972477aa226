//! Other programs, which know nothing of this crate.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a script of Python's `sqlite3` on a file. Skips the test, which says so, where there is
/// no Python.
pub(crate) fn python(script: &str, path: &Path) -> Option<String> {
    let program = format!("import sqlite3, sys\npath = sys.argv[1]\n{script}");
    let output = Command::new("python3")
        .args(["-c", &program])
        .arg(path)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        println!("skipped: another program opens the file, because python3 is missing");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Opens the file, reads, and closes it: the last one to do so removes the log.
pub(crate) fn opens_and_closes(path: &Path) -> Option<String> {
    let script = "db = sqlite3.connect(path)\nprint(db.execute('SELECT count(*) FROM sqlite_schema').fetchone()[0])\ndb.close()";
    python(script, path)
}
