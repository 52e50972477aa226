//! Runs a command to its end, or until somebody interrupts it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::arguments::{Arguments, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::{export, gc, import, inspect, vacuum, verify};

/// How long a command may take to tidy up after it was interrupted.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn to_end(arguments: Arguments) -> ExitCode {
    let mut output = Output::new(arguments.json);
    let runtime = match Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output.report(&Failure::fault(format!("can not start: {error}")));
            return Exit::Fault.into();
        }
    };
    let ended = runtime.block_on(until_interrupted(command(arguments.command, &mut output)));
    // What was begun in other threads is tidied up by them.
    runtime.shutdown_timeout(PATIENCE);
    match ended {
        Some(Ok(())) => output.exit().into(),
        Some(Err(failure)) => {
            output.report(&failure);
            output.exit().max(failure.exit).into()
        }
        None => Exit::Interrupted.into(),
    }
}

async fn command(command: Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Import(arguments) => import::run(arguments, output).await,
        Command::Inspect(arguments) => inspect::run(arguments, output).await,
        Command::Verify(arguments) => verify::run(arguments, output).await,
        Command::Gc(arguments) => gc::run(arguments, output).await,
        Command::Vacuum(arguments) => vacuum::run(arguments, output).await,
        Command::Export(arguments) => export::run(arguments, output).await,
    }
}

/// The answer of the future; none if it was dropped because of a signal.
async fn until_interrupted<T>(future: impl Future<Output = T>) -> Option<T> {
    let interrupted = Arc::new(Notify::new());
    // In a thread of its own: the future may be writing to somebody who does not read.
    tokio::spawn(watch(Arc::clone(&interrupted)));
    tokio::select! {
        answer = future => Some(answer),
        () = interrupted.notified() => None,
    }
}

/// Waits for a signal, and ends the process if nothing comes of it.
async fn watch(interrupted: Arc<Notify>) {
    if !signalled().await {
        return;
    }
    interrupted.notify_one();
    tokio::select! {
        _ = signalled() => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    std::process::exit(130);
}

/// Waits for a signal to stop; answers false if none can be received.
async fn signalled() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            return false;
        };
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt.is_ok(),
            received = terminate.recv() => received.is_some(),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.is_ok()
}
