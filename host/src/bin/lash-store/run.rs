//! Runs a command to its end, or until somebody interrupts it.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{export, gc, import, inspect, repair, vacuum, verify};

/// How long a command may take to tidy up after it was interrupted.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn to_end(arguments: Arguments) -> ExitCode {
    let mut output = Output::new(arguments.json);
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = format!("cannot start: {error}");
            output.report(&Failure::new(Path::new(""), Exit::Fault, "io", message));
            return Exit::Fault.into();
        }
    };
    let ended = runtime.block_on(until_interrupted(arguments.command, &mut output));
    // The log of what was closed is in its file when the program has ended.
    runtime.block_on(lash_wasm_store::shutdown(PATIENCE));
    // What was begun in other threads is tidied up by them.
    runtime.shutdown_timeout(PATIENCE);
    if let Err(failure) = ended {
        // As when SIGPIPE ends a program: there is nothing wrong with the file.
        if failure.exit != Exit::BrokenPipe {
            output.report(&failure);
        }
        output.end_with(failure.exit);
    }
    output.exit().into()
}

/// Most commands can be killed at any moment: SQLite undoes what is not whole. Those that
/// have a temporary file are dropped instead, which removes it.
async fn until_interrupted(command: Command, output: &mut Output) -> Result<(), Failure> {
    if !command.has_temporary_files() {
        return run(command, output).await;
    }
    let ended = tokio::select! {
        biased;
        received = interrupted() => received.map(|()| None),
        ended = run(command, output) => Ok(Some(ended)),
    };
    match ended {
        Ok(Some(ended)) => ended,
        Ok(None) => {
            output.end_with(Exit::Interrupted);
            Ok(())
        }
        Err(error) => {
            let message = format!("cannot wait for signals: {error}");
            Err(Failure::new(Path::new(""), Exit::Fault, "io", message))
        }
    }
}

async fn run(command: Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Import(arguments) => import::run(arguments, output).await,
        Command::Inspect(arguments) => inspect::run(arguments, output).await,
        Command::Verify(arguments) => verify::run(arguments, output).await,
        Command::Gc(arguments) => gc::run(arguments, output).await,
        Command::Vacuum(arguments) => vacuum::run(arguments, output).await,
        Command::Repair(arguments) => repair::run(arguments, output).await,
        Command::Export(arguments) => export::run(arguments, output).await,
    }
}

/// Waits for a signal to stop.
async fn interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
