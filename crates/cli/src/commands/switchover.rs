//! `redoubt switchover`.

use redoubt_redis::Endpoint;
use redoubt_wire::{
    config::SetConfig,
    failover::{Failover, Outcome},
};

use crate::{
    args::{DataForm, SwitchoverArgs},
    ask::switchover,
    failure::{Code, Failure},
    place::{Place, nobody_leads},
    runtime, say,
};

/// Has the master hand over.
pub(crate) fn run(args: &SwitchoverArgs) -> Result<(), Failure> {
    let (config, failover) = runtime::small(hand_over(args))?;
    if args.output == DataForm::Json {
        say::data(&format!("{:#}\n", serde_json::json!(failover)))?;
    }
    match &failover.outcome {
        Outcome::Done if args.output == DataForm::Text => say::data(&told(&config, &failover)),
        Outcome::Done => Ok(()),
        Outcome::Stopped { why } => {
            Err(Failure::new(Code::Failed, format_args!("{} was not handed over: {why}", args.name))
                .hint(format_args!("nothing has changed; see `redoubt status {}` and try again", args.name)))
        }
    }
}

/// What can be refused here is refused before the master is asked; it refuses the rest.
async fn hand_over(args: &SwitchoverArgs) -> Result<(SetConfig, Failover), Failure> {
    let set = Place::open(&args.place).await?.set(&args.name).await?;
    let shards = set.config.cluster();
    if set.config.sentinel().is_none() && shards.is_none() {
        return Err(Failure::new(
            Code::Fault,
            format_args!("{} has one node: nobody can take over", args.name),
        )
        .hint("mode: Sentinel has replicas"));
    }
    if shards.is_some() && args.to.is_none() {
        return Err(Failure::new(
            Code::Fault,
            format_args!("{} has a master in each shard; nothing was done", args.name),
        )
        .hint("name the node that shall lead its shard with --to"));
    }
    let known: Vec<String> = set.config.nodes.iter().map(|node| node.name.clone()).collect();
    if let Some(to) = args.to.as_ref().filter(|to| !known.contains(to)) {
        return Err(Failure::unknown(&format!("node of {}", args.name), to, &known));
    }
    let master = match &args.to {
        Some(to) if shards.is_some() => &set.master_beside(to).await?.name,
        _ => &set.master().await?.name,
    };
    if args.to.as_ref() == Some(master) {
        return Err(Failure::new(
            Code::Fault,
            format_args!("{master} is the master already; nothing was done"),
        )
        .hint(format_args!("name another node, or leave --to out")));
    }
    let agent = set.agent(master).ok_or_else(|| nobody_leads(&args.name))?;
    let failover = switchover(&agent, args.to.as_deref(), |error, after| {
        say::talk(format_args!("{error}; asked again in {} s", after.as_secs_f32().ceil()));
    })
    .await?;
    Ok((set.config, failover))
}

fn told(config: &SetConfig, failover: &Failover) -> String {
    let name = |endpoint: &Option<Endpoint>| match endpoint {
        Some(endpoint) => {
            config.node_at(endpoint).map_or_else(|| endpoint.to_string(), |node| node.name.clone())
        }
        None => "nobody".to_owned(),
    };
    let (old, new) = (name(&failover.old_master), name(&failover.new_master));
    format!("{new} leads now, {old} follows it; it took {} ms (id {})\n", failover.duration_ms, failover.id)
}
