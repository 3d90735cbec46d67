//! The agent: PID 1 next to each redis-server and each Sentinel.
//!
//! It decides by the boot rules what its server may start as, supervises it, wins an election when it dies, hands over
//! before it stops, and tells the engine, people and Prometheus what it sees. It needs nobody to do so: configuration
//! and secrets are files, and the other agents and Sentinels are asked directly.

mod agent;
mod args;
mod backoff;
mod boot;
mod cluster;
mod farewell;
mod fault;
mod hearing;
mod http;
mod ids;
mod inbox;
mod kept;
mod last_failover;
mod logs;
mod metrics;
mod node;
mod peers;
mod record;
mod sentinel;
mod server;
mod settings;
mod state;
mod succession;

use std::process::ExitCode;

pub use args::{AgentArgs, AgentKind};

/// Lives until it is asked to stop. To be called on the main thread, before any other thread is started: the server
/// dies with the thread that started it, and that must be this one.
#[must_use]
pub fn run(args: AgentArgs) -> ExitCode {
    let filter = std::env::var("REDOUBT_LOG").ok();
    let redis = match logs::init(&args.name, filter.as_deref()) {
        Ok(redis) => redis,
        Err(error) => return failed(&fault::Fault::Logs(error)),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&fault::Fault::Runtime(error)),
    };
    match runtime.block_on(agent::live(args, &redis)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => failed(&fault),
    }
}

fn failed(fault: &fault::Fault) -> ExitCode {
    tracing::error!("the agent ends: {fault}");
    ExitCode::FAILURE
}
