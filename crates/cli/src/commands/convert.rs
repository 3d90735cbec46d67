//! `redoubt convert`.

use redoubt_api::{Redis, failover::Translation};

use crate::{
    args::ConvertArgs,
    failure::{Code, Failure},
    input, say,
};

/// All or none: what is at fault is said, and nothing is printed.
pub(crate) fn run(args: &ConvertArgs) -> Result<(), Failure> {
    let batch = input::judged(&args.files)?;
    batch.warnings.iter().for_each(say::warn);
    if !batch.faults.is_empty() {
        return Err(Failure::faults(&batch.faults));
    }
    if batch.failovers.is_empty() {
        return Err(Failure::new(Code::Fault, "there is no RedisFailover in it")
            .hint("name a file with one, as kubectl get redisfailover NAME -o yaml prints it"));
    }
    let texts: Result<Vec<String>, Failure> =
        batch.failovers.iter().map(|failover| yaml(&failover.redis)).collect();
    say::data(&texts?.join("---\n"))?;
    batch.failovers.iter().for_each(next);
    Ok(())
}

fn yaml(redis: &Redis) -> Result<String, Failure> {
    redis.to_yaml().map_err(|error| {
        let name = &redis.metadata.name;
        Failure::new(Code::Failed, format_args!("{name} cannot be written as YAML: {error}"))
    })
}

/// What the file cannot say.
fn next(failover: &Translation) {
    let name = &failover.checked.key.name;
    say::hint(format_args!(
        "{name} is another Redis and begins without data: move the data before the RedisFailover is deleted"
    ));
    let sentinels = if failover.checked.sentinel().is_some() {
        format!(", {name}-sentinel instead of rfs-{name}")
    } else {
        String::new()
    };
    say::hint(format_args!(
        "clients connect to {name}-master instead of rfrm-{name}, {name}-replicas instead of rfrs-{name}{sentinels}"
    ));
}
