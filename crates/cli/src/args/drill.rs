//! `redoubt drill`.

use std::time::Duration;

use clap::{
    Args,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _},
};
use redoubt_drill::{ClientKind, Scenario};

use super::{DataForm, WhereArgs};

/// More writers than this measure the machine, not the set.
const MAX_WRITERS: i64 = 64;
/// Keys of a drill expire after an hour; they have to be read back before that.
const MAX_SECONDS: u64 = 1800;

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// Name of the Redis; on Kubernetes also `redisfailover/NAME`
    pub name: String,
    /// What to break
    #[arg(value_parser = scenarios())]
    pub scenario: Scenario,
    /// In which shard of a cluster; without it, in shard 0, and of restart-all and roll in all of them
    #[arg(long, value_name = "NUMBER")]
    pub shard: Option<u32>,
    /// How the writers find the master; without it, by Sentinel where there are Sentinels that can be reached, by role
    /// elsewhere. In a cluster the writers connect as applications do where the members' addresses are reached from
    /// here; elsewhere they go through the API server, and gaps tell of that too
    #[arg(long, value_parser = clients())]
    pub client: Option<ClientKind>,
    /// How many write at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=MAX_WRITERS))]
    pub writers: u32,
    /// How long to go on writing after the event, at least, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub duration: Duration,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = DataForm::Text)]
    pub output: DataForm,
    /// Do not ask, also when the Redis is not healthy
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub place: WhereArgs,
}

fn scenarios() -> impl clap::builder::TypedValueParser<Value = Scenario> {
    let value = |scenario: Scenario| PossibleValue::new(scenario.name()).help(scenario.summary());
    PossibleValuesParser::new(Scenario::ALL.map(value)).try_map(|word| word.parse::<Scenario>())
}

fn clients() -> impl clap::builder::TypedValueParser<Value = ClientKind> {
    let value = |client: ClientKind| PossibleValue::new(client.name()).help(client.summary());
    PossibleValuesParser::new(ClientKind::ALL.map(value)).try_map(|word| word.parse::<ClientKind>())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    match number.parse() {
        Ok(seconds @ 0..=MAX_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("a whole number of seconds from 0 to {MAX_SECONDS} is wanted, as 5 or 5s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_seconds_with_or_without_their_unit() {
        for (text, length) in
            [("5", Some(5)), ("5s", Some(5)), ("0", Some(0)), ("5m", None), ("-1", None), ("9999", None)]
        {
            assert_eq!(seconds(text).ok().map(|length| length.as_secs()), length, "{text}");
        }
    }
}
