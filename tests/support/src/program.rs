//! The program `lash-store`, run as a whole.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// The program that is at this path.
#[derive(Clone, Copy)]
pub struct Program(pub &'static str);

impl Program {
    /// The program, about to be run.
    pub fn command<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(self.0);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The program, about to be run with a limit on the size of files, which stands for a
    /// full disk.
    #[cfg(unix)]
    pub fn limited<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Command {
        // Without the trap the process would be killed instead. The component itself is in a
        // file in memory, to which the limit applies as well.
        let script = "trap '' XFSZ; ulimit -f 1024; exec \"$@\"";
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash", self.0]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command on a path.
    pub fn on(self, command: &str, path: &Path) -> Run {
        Run::of(self.command([command]).arg(path))
    }

    /// Runs a command on a path, for programs.
    pub fn json(self, command: &str, path: &Path) -> Run {
        Run::of(self.command(["--json", command]).arg(path))
    }
}

/// What a run of the program left.
pub struct Run {
    /// The exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// It ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    /// It did what it should, and had nothing to complain about.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        let run = self.ended(0);
        assert_eq!(run.stderr, "");
        run
    }

    /// Standard output, a JSON value a line.
    pub fn values(&self) -> Vec<Value> {
        values(&self.stdout)
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A JSON value a line.
pub fn values(lines: &str) -> Vec<Value> {
    let value = |line: &str| serde_json::from_str(line).unwrap();
    lines.lines().map(value).collect()
}

/// Interrupts a program. Where that is ignored, as in what a script does in the background,
/// it is to be terminated.
pub fn interrupt(child: &Child) {
    for signal in ["-INT", "-TERM"] {
        let mut kill = Command::new("kill");
        kill.args([signal, &child.id().to_string()]);
        // It may have ended by the first one.
        kill.stderr(Stdio::null()).status().unwrap();
    }
}
