//! `redoubt engine`: the engine in the background, started by `redoubt up --detach`.

use redoubt_local::LocalEngine;

use crate::{args::EngineArgs, failure::Failure, log, runtime};

/// Is the engine until it is told to end. What it looks after runs on.
pub(crate) fn run(args: &EngineArgs) -> Result<(), Failure> {
    // Away from the terminal: its end is not meant for us. Fails when this is so already.
    let _ = rustix::process::setsid();
    log::to_stdout();
    runtime::large(async {
        let end = runtime::asked_to_end();
        let mut engine = LocalEngine::start(super::options(args.files.clone(), &args.place)).await?;
        tokio::select! {
            () = end => {
                engine.leave().await;
                Ok(())
            }
            error = engine.ended() => Err(error.into()),
        }
    })
}
