//! `redoubt cli`.

use std::{
    ffi::OsString,
    io::ErrorKind,
    process::{ExitCode, ExitStatus},
};

use redoubt_redis::Endpoint;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::process::Command;

use crate::{
    args::RedisCliArgs,
    failure::{Code, Failure},
    place::Place,
    runtime,
};

/// Programs that speak to a server, the first one found is taken.
const PROGRAMS: [&str; 2] = ["redis-cli", "valkey-cli"];
/// Carries the password: arguments can be read by every user of the machine.
const PASSWORD: &str = "REDISCLI_AUTH";

/// Runs redis-cli at the master, in a cluster at one of them, and ends as it does.
pub(crate) fn run(args: &RedisCliArgs) -> Result<ExitCode, Failure> {
    runtime::large(async {
        let set = Place::open(&args.place).await?.set(&args.name).await?;
        let master = set.reached(&set.entrance().await?.server);
        let follow = set.config.cluster().is_some();
        let password = set.config.access.auth.then(|| set.secrets.application.current());
        let status = ended(master, follow, password, &args.args).await?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        code.map(ExitCode::from)
            .ok_or_else(|| Failure::new(Code::Failed, format_args!("redis-cli ended: {status}")))
    })
}

/// Ctrl-C is for redis-cli, which gets it from the terminal.
async fn ended(
    master: &Endpoint,
    follow: bool,
    password: Option<&SecretString>,
    args: &[OsString],
) -> Result<ExitStatus, Failure> {
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command.args(["-h", &master.host, "-p", &master.port.to_string()]);
        // In a cluster a key may be elsewhere.
        command.args(follow.then_some("-c")).args(args);
        if let Some(password) = password {
            command.env(PASSWORD, password.expose_secret());
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Failure::new(Code::Failed, format_args!("{program} cannot be started: {error}"))
                    .hint(format_args!("check that {program} can be executed")));
            }
        };
        loop {
            tokio::select! {
                status = child.wait() => return Ok(status?),
                interrupted = tokio::signal::ctrl_c() => interrupted?,
            }
        }
    }
    Err(Failure::new(Code::Failed, format_args!("none of {} was found in PATH", PROGRAMS.join(", ")))
        .hint("install redis-tools (or valkey-tools)"))
}
