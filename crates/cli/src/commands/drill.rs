//! `redoubt drill`.

use std::io::{self, IsTerminal as _, Write as _};

use redoubt_drill::{ClientKind, Drill, DrillError, DrillResult, LogLine, Target, assess, survey};
use redoubt_local::Local;

use crate::{
    args::{DataForm, DrillArgs},
    failure::{Code, Failure},
    print, runtime,
    saboteur::LocalSaboteur,
    say,
};

/// Holds one drill.
pub(crate) fn run(args: &DrillArgs) -> Result<(), Failure> {
    let local = Local::open(&args.state.state_dir)?;
    let target = target(&local, &args.name)?;
    let result = runtime::large(hold(local, &target, args))?;
    match args.output {
        DataForm::Text => say::data(&print::drill::text(&result))?,
        DataForm::Json => say::data(&format!("{:#}\n", serde_json::json!(result)))?,
    }
    if result.passed() { Ok(()) } else { Err(Failure::silent(Code::NotHealthy)) }
}

fn target(local: &Local, name: &str) -> Result<Target, Failure> {
    let Some(config) = local.config(name)? else {
        return Err(Failure::new(Code::NotHealthy, format_args!("{name} is not started yet"))
            .hint("start it with `redoubt up`"));
    };
    Ok(Target { secrets: local.secrets(name)?, config })
}

async fn hold(local: Local, target: &Target, args: &DrillArgs) -> Result<DrillResult, Failure> {
    let mut force = args.yes;
    let health = assess(&target.config, &survey(target).await);
    if !force && !health.is_whole() {
        force = agreed(&args.name, &health.troubles)?;
    }
    let has_sentinels = target.config.sentinel().is_some();
    let fitting = if has_sentinels { ClientKind::Sentinel } else { ClientKind::Role };
    let drill = Drill {
        scenario: args.scenario,
        client: args.client.unwrap_or(fitting),
        writers: args.writers,
        duration: args.duration,
        force,
    };
    let saboteur = LocalSaboteur { local, name: args.name.clone() };
    let told = |line: &LogLine| say::talk(format_args!("{:>7} ms  {}", line.at_ms, line.what));
    Ok(redoubt_drill::run(target, &drill, &saboteur, &told, runtime::asked_to_end()).await?)
}

/// Asks on a terminal; elsewhere nobody could answer.
fn agreed(name: &str, troubles: &[String]) -> Result<bool, Failure> {
    let unhealthy = DrillError::Unhealthy { redis: name.to_owned(), troubles: troubles.to_vec() };
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(unhealthy.into());
    }
    say::warn(format_args!("{name} is not healthy: {}", troubles.join("; ")));
    write!(io::stderr(), "break it all the same? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(true) } else { Err(unhealthy.into()) }
}
