//! Runtimes, built by the commands that need one: an agent must not find threads beside it.

use std::future::Future;

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use crate::failure::{Code, Failure};

/// Runs one command that asks a few agents, or moves slots: it waits for servers most of the time, and a thread that is
/// woken for each answer by another one would cost more than the answer.
pub(crate) fn small<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run(&mut Builder::new_current_thread(), command)
}

/// Runs an engine or a drill.
pub(crate) fn large<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run(&mut Builder::new_multi_thread(), command)
}

fn run<T>(builder: &mut Builder, command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = built(builder)?;
    let outcome = runtime.block_on(command);
    // A thread that waits for a key would hold up the end.
    runtime.shutdown_background();
    outcome
}

fn built(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| {
        Failure::new(Code::Failed, format_args!("no runtime: {error}"))
            .hint("raise the limits on threads and open files (ulimit -u, ulimit -n)")
    })
}

/// Resolves when somebody asks this process to end: Ctrl-C, SIGTERM, or the end of its terminal.
pub(crate) async fn asked_to_end() {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
