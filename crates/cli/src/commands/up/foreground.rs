//! The engine in this process: a live view on a terminal, lines elsewhere. Ctrl-C stops everything.

use std::{
    future::Future as _,
    io::{self, IsTerminal as _},
    pin::pin,
    task::Poll,
};

use redoubt_local::{EngineLock, FileReport, Local, LocalEngine, LocalError};
use tokio::sync::mpsc;

use super::{Resolved, plain, sight::Sight};
use crate::{
    commands::resources::told,
    failure::{Code, Failure},
    log,
    progress::Stopping,
    runtime, say, view,
};

/// Messages about files that wait to be shown.
const MESSAGES: usize = 16;

/// Lives until somebody ends it.
pub(super) async fn run(resolved: &Resolved) -> Result<(), Failure> {
    let local = Local::create(&resolved.place.state.state_dir)?;
    // Taken before anything is applied: another engine would act on it.
    let lock = EngineLock::take(local.state_dir())?;
    if let Some(batch) = &resolved.batch {
        told(&local.apply(batch)?).lines().for_each(say::talk);
    }
    log::to_file(&local.state_dir().engine_log())?;
    let mut engine = LocalEngine::start_locked(lock, local.state_dir().clone(), resolved.options()).await?;
    let shown = show(&mut engine, resolved.plain).await;
    stop(engine).await?;
    shown
}

/// Shows until somebody asks for the end, or the engine ends by itself.
async fn show(engine: &mut LocalEngine, plain: bool) -> Result<(), Failure> {
    let sight = Sight::new(engine.local().clone(), engine.views());
    let (sender, mut messages) = mpsc::channel(MESSAGES);
    let on_terminal = !plain && io::stdin().is_terminal() && io::stdout().is_terminal();
    let shown = async {
        if on_terminal {
            view::run(&sight, &mut messages, runtime::asked_to_end()).await?;
        } else {
            plain::run(&sight, &mut messages, runtime::asked_to_end()).await;
        }
        Ok(())
    };
    tokio::select! {
        shown = shown => shown,
        failure = watch(engine, &sender) => Err(failure),
    }
}

/// Passes on what became of changed files; returns when the engine is gone.
async fn watch(engine: &mut LocalEngine, messages: &mpsc::Sender<String>) -> Failure {
    loop {
        let report = match next(engine).await {
            Ok(report) => report,
            Err(error) => return error.into(),
        };
        for message in lines(&report) {
            // Only a view that has ended takes no messages.
            let _ = messages.send(message).await;
        }
    }
}

/// The next report, unless the engine ends first.
async fn next(engine: &mut LocalEngine) -> Result<FileReport, LocalError> {
    std::future::poll_fn(|context| {
        if let Poll::Ready(report) = pin!(engine.report()).poll(context) {
            return Poll::Ready(Ok(report));
        }
        pin!(engine.ended()).poll(context).map(Err)
    })
    .await
}

/// What became of changed files.
fn lines(report: &FileReport) -> Vec<String> {
    match report {
        FileReport::Applied(applied, warnings) => {
            let warnings = warnings.iter().map(|warning| format!("warning: {warning}"));
            told(applied).lines().map(|line| format!("the file changed: {line}")).chain(warnings).collect()
        }
        FileReport::Refused(faults) => {
            let refused = faults.iter().map(|fault| format!("the changed file is refused: {fault}"));
            refused.chain(["what runs is left as it is".to_owned()]).collect()
        }
        FileReport::Failed(error) => {
            vec![format!("the changed file was not applied: {error}"), format!("hint: {}", error.next())]
        }
    }
}

/// Stops everything; asked a second time, leaves the rest to itself.
async fn stop(engine: LocalEngine) -> Result<(), Failure> {
    say::talk("stopping everything; the data stays (Ctrl-C once more leaves the rest running)");
    let stopping = Stopping::start();
    let told = stopping.callback();
    let stopped = tokio::select! {
        stopped = engine.down(&told) => stopped.map_err(Failure::from),
        () = runtime::asked_to_end() => {
            Err(Failure::new(Code::Interrupted, "not everything is stopped").hint("`redoubt down` stops the rest"))
        }
    };
    drop(told);
    stopping.done();
    stopped
}
