//! `redoubt drill`.

use redoubt_drill::{ClientKind, Drill, DrillError, DrillResult, LogLine, assess, survey};

use crate::{
    args::{DataForm, DrillArgs},
    consent,
    failure::{Code, Failure},
    place::Place,
    print, runtime, say,
};

/// Holds one drill.
pub(crate) fn run(args: &DrillArgs) -> Result<(), Failure> {
    let result = runtime::large(hold(args))?;
    match args.output {
        DataForm::Text => say::data(&print::drill::text(&result))?,
        DataForm::Json => say::data(&format!("{:#}\n", serde_json::json!(result)))?,
    }
    if result.passed() { Ok(()) } else { Err(Failure::silent(Code::NotHealthy)) }
}

async fn hold(args: &DrillArgs) -> Result<DrillResult, Failure> {
    let place = Place::open(&args.place).await?;
    let set = place.set(&args.name).await?;
    let target = place.target(&set).await?;
    let mut force = args.yes;
    let health = assess(&target.config, &survey(&target).await);
    if !force && !health.is_whole() {
        force = agreed(&args.name, &health.troubles)?;
    }
    let by_sentinels = target.config.sentinel().is_some() && target.is_direct();
    let fitting = if by_sentinels { ClientKind::Sentinel } else { ClientKind::Role };
    let drill = Drill {
        scenario: args.scenario,
        shard: args.shard,
        client: args.client.unwrap_or(fitting),
        writers: args.writers,
        duration: args.duration,
        force,
    };
    let told = |line: &LogLine| say::talk(format_args!("{:>7} ms  {}", line.at_ms, line.what));
    place.drill(&set, &target, &drill, &told).await
}

/// Asks on a terminal; elsewhere nobody could answer.
fn agreed(name: &str, troubles: &[String]) -> Result<bool, Failure> {
    let unhealthy = DrillError::Unhealthy { redis: name.to_owned(), troubles: troubles.to_vec() };
    if !consent::can_be_asked() {
        return Err(unhealthy.into());
    }
    say::warn(format_args!("{name} is not healthy: {}", troubles.join("; ")));
    if consent::agreed("break it all the same")? { Ok(true) } else { Err(unhealthy.into()) }
}
