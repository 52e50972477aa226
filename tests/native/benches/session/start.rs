//! From the start of a process to the answer of its first commit.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::data::{Blobs, Session};
use crate::engines::Setup;
use crate::harness::{Wanted, interleave};
use crate::names;
use crate::report::Report;

/// Tells a child process which engine to use.
const ENGINE: &str = "LASH_BENCH_START";
/// Tells a child process which file to make.
const FILE: &str = "LASH_BENCH_START_FILE";

/// Commits, says so, and answers true if this process is such a child.
pub(crate) async fn child() -> bool {
    let Ok(engine) = std::env::var(ENGINE) else {
        return false;
    };
    let file = std::env::var_os(FILE).unwrap();
    let engine = Setup::named(&engine).open(Path::new(&file)).await;
    engine.commit(Session::new(Blobs::All).turn()).await;
    println!("committed");
    true
}

pub(crate) async fn run(wanted: &Wanted, report: &mut Report) {
    if !wanted.has("start") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // The first start of the machine compiles the component, and keeps it.
    for setup in Setup::BOTH {
        start(setup, &dir.path().join(format!("{} first", setup.name())));
    }
    let mut setups = Setup::BOTH;
    let samples = interleave(&mut setups, wanted.repeat(50), async |setup, turn| {
        start(*setup, &dir.path().join(format!("{} {turn}", setup.name())))
    });
    report.add("start", &names(), samples.await);
}

fn start(setup: Setup, file: &Path) -> Duration {
    let begin = Instant::now();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .env(ENGINE, setup.name())
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = process.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let elapsed = begin.elapsed();
    assert_eq!(line, "committed\n");
    assert!(process.wait().unwrap().success());
    elapsed
}
