//! `redoubt cli`.

use std::{ffi::OsStr, io::ErrorKind, os::unix::process::CommandExt as _, process::Command};

use redoubt_local::Local;
use secrecy::ExposeSecret as _;

use crate::{
    args::RedisCliArgs,
    commands::connection::nobody_leads,
    failure::{Code, Failure},
    runtime,
};

/// Programs that speak to a server, the first one found is taken.
const PROGRAMS: [&str; 2] = ["redis-cli", "valkey-cli"];
/// Carries the password: arguments can be read by every user of the machine.
const PASSWORD: &str = "REDISCLI_AUTH";

/// Becomes redis-cli at the master.
pub(crate) fn run(args: &RedisCliArgs) -> Result<(), Failure> {
    let local = Local::open(&args.state.state_dir)?;
    let connection = runtime::small(async { Ok(local.connection(&args.name).await?) })?;
    let master = connection.master.as_ref().ok_or_else(|| nobody_leads(&args.name))?;
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command
            .args(["-h", &master.host, "-p", &master.port.to_string()])
            .args::<_, &OsStr>(args.args.iter().map(AsRef::as_ref));
        if let Some(password) = &connection.password {
            command.env(PASSWORD, password.expose_secret());
        }
        let error = command.exec();
        if error.kind() != ErrorKind::NotFound {
            return Err(Failure::new(Code::Failed, format_args!("{program} cannot be started: {error}"))
                .hint(format_args!("check that {program} can be executed")));
        }
    }
    Err(Failure::new(Code::Failed, format_args!("none of {} was found in PATH", PROGRAMS.join(", ")))
        .hint("install redis-tools (or valkey-tools)"))
}
