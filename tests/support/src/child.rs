//! Other processes: a test runs itself again, on a file, and kills what runs there
//! or tells it to go on.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// Tells a process on which file it is to work, and that it is the other one.
const FILE: &str = "LASH_WASM_STORE_TEST_CHILD";

/// The file, if this process was started by a test.
pub fn file() -> Option<PathBuf> {
    std::env::var_os(FILE).map(PathBuf::from)
}

/// Waits until the test that started this process says something.
pub fn wait_to_be_told() {
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("the test is there");
}

/// Runs a test of the running executable again, in a process of its own. There
/// [`file()`] answers the path.
pub fn command(test: impl Fn(), path: &Path) -> Command {
    command_by(
        Command::new(std::env::current_exe().expect("this executable")),
        test,
        path,
    )
}

/// As [`command`], through a shell that does something first.
pub fn command_after(script: &str, test: impl Fn(), path: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{script}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().expect("this executable"));
    command_by(shell, test, path)
}

fn command_by(mut command: Command, test: impl Fn(), path: &Path) -> Command {
    command
        .args(["--exact", name_of(&test), "--nocapture", "--test-threads=1"])
        .env(FILE, path);
    command
}

/// The name by which the test harness knows a test: its path in its crate.
fn name_of<T>(_: &T) -> &'static str {
    let (_, name) = std::any::type_name::<T>()
        .split_once("::")
        .expect("a function of a crate");
    name
}

/// A running test in a process of its own, killed at the end.
pub struct Child {
    process: std::process::Child,
    /// Closed by telling it to go on.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Runs a test of the running executable again, on a file.
    pub fn start(test: impl Fn(), path: &Path) -> Self {
        let mut process = command(test, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let output = process.stdout.take().expect("its output");
        Self {
            input: process.stdin.take(),
            output: BufReader::new(output).lines(),
            process,
        }
    }

    /// Waits until it says this, and answers the rest of the line.
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self.output.next().expect(text).expect("its output");
            if let Some((_, rest)) = line.split_once(text) {
                return rest.to_owned();
            }
        }
    }

    /// Lets it go on from [`wait_to_be_told`].
    pub fn tell(&mut self) {
        drop(self.input.take());
    }

    /// Kills it, so that nothing is tidied up.
    pub fn kill(mut self) {
        self.process.kill().expect("the process is killed");
        assert!(!self.wait().success(), "it had ended");
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        self.tell();
        self.process.wait().expect("the process ends")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A test that fails leaves nobody behind. Mostly it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
