//! What changes a cluster: planned, shown, agreed to, done.

use std::collections::BTreeMap;

use redoubt_slots::{
    Access, Cluster, Guard, Mover, Node, Options, Repair, Repairs, SlotsError, Stop, add, check,
    is_unfinished, look_settled,
    plan::{self, Move, Share},
    planned, remove, repair, spread,
};
use serde_json::{Value as Json, json};

use super::{
    fault,
    login::{Gate, access},
    progress::{Bar, stop_when_asked},
};
use crate::{
    args::{
        AddArgs, ConsentArgs, CreateArgs, DataForm, DelArgs, FixArgs, RebalanceArgs, ReshardArgs, WhichArgs,
    },
    consent,
    failure::{Code, Failure},
    print::table::Table,
    say,
};

pub(super) async fn create(args: &CreateArgs) -> Result<(), Failure> {
    let hosts: Vec<String> = args.nodes.iter().map(|node| node.host.clone()).collect();
    let layout = plan::layout(&hosts, args.replicas).map_err(fault)?;
    let mut table = Table::new(&["NODE", "ROLE", "SLOTS"]);
    let mut rows = Vec::new();
    let mut row = |node: usize, role: String, slots: String| {
        rows.push(json!({ "node": args.nodes[node].to_string(), "role": role, "slots": slots }));
        table.row([args.nodes[node].to_string(), role, slots].map(Into::into));
    };
    for (master, slots) in &layout.masters {
        row(*master, "master".to_owned(), slots.to_string());
        for (replica, _) in layout.replicas.iter().filter(|(_, of)| of == master) {
            row(*replica, format!("replica of {}", args.nodes[*master]), String::new());
        }
    }
    if !agreed(args.consent, &table, &json!({ "nodes": rows }), "make this cluster")? {
        return Ok(());
    }
    redoubt_slots::create(&access(&args.login, None)?, &args.nodes, &layout).await?;
    say::talk(format_args!("{} nodes are one cluster now", args.nodes.len()));
    Ok(())
}

pub(super) async fn reshard(args: &ReshardArgs) -> Result<(), Failure> {
    let options = args.moving.options();
    let gate = by_hand(&args.which).await?;
    let cluster = ready(&gate, &options, args.consent).await?;
    let target = named(&cluster, &args.to)?;
    let sources: Vec<&Node> = if args.from == ["all"] {
        cluster.masters().filter(|node| node.id != target.id && !node.slots.is_empty()).collect()
    } else {
        args.from.iter().map(|name| named(&cluster, name)).collect::<Result<_, _>>()?
    };
    let moves = plan::reshard(&sources, target, args.slots).map_err(fault)?;
    carry_out(&gate.access, &cluster, moves, &options, args.consent).await
}

pub(super) async fn rebalance(args: &RebalanceArgs) -> Result<(), Failure> {
    let options = args.moving.options();
    let gate = by_hand(&args.which).await?;
    let mut cluster = ready(&gate, &options, args.consent).await?;
    let weights = weights(&cluster, &args.weights)?;
    let wanted = args.masters.filter(|count| *count > cluster.masters().count());
    if let Some(count) = wanted {
        let mut table = Table::new(&["STEP"]);
        table.row([format!("make masters of replicas until there are {count}").into()]);
        if !agreed(args.consent, &table, &json!({ "masters": count }), "do this")? {
            return Ok(());
        }
        cluster = spread(&gate.access, &cluster, count).await?;
    }
    let empty = args.use_empty_masters || args.masters.is_some();
    let shares: Vec<Share> = cluster
        .masters()
        .filter(|node| empty || !node.slots.is_empty() || weights.contains_key(node.id.as_str()))
        .map(|node| Share {
            node: node.id.clone(),
            slots: node.slots.clone(),
            weight: weights.get(node.id.as_str()).copied().unwrap_or(1.0),
        })
        .collect();
    if shares.iter().all(|share| share.weight == 0.0) {
        return Err(fault("every master has weight 0: nobody would own the slots"));
    }
    carry_out(&gate.access, &cluster, plan::rebalance(&shares, args.threshold), &options, args.consent).await
}

fn weights(cluster: &Cluster, given: &[String]) -> Result<BTreeMap<String, f64>, Failure> {
    let mut weights = BTreeMap::new();
    for text in given {
        let wrong = || fault(format_args!("{text:?} is no NODE=WEIGHT with a weight from 0"));
        let (name, weight) = text.rsplit_once('=').ok_or_else(wrong)?;
        let weight: f64 = weight.parse().map_err(|_| wrong())?;
        if !weight.is_finite() || weight < 0.0 {
            return Err(wrong());
        }
        let node = named(cluster, name)?;
        if !node.is_master {
            return Err(fault(format_args!("{name} is no master: it has no weight")));
        }
        weights.insert(node.id.to_string(), weight);
    }
    Ok(weights)
}

pub(super) async fn fix(args: &FixArgs) -> Result<(), Failure> {
    let gate = Gate::to(&args.which).await?;
    let cluster = entered(&gate, args.consent).await?;
    let plan = planned(&gate.access, &cluster).await?;
    let mut table = Table::new(&["REPAIR"]);
    for one in &plan {
        table.row([one.to_string().into()]);
    }
    let of_nobody =
        plan.iter().filter(|one| matches!(one, Repair::Own { instead_of, .. } if instead_of.is_empty()));
    let of_nobody = of_nobody.count();
    if of_nobody > 0 {
        say::warn(format_args!(
            "no node that {} leads to owns {of_nobody} slots: if one was forgotten that does, name it as --addr instead; \
             its keys would be lost when it comes back",
            gate.entry
        ));
    }
    let said: Vec<String> = plan.iter().map(ToString::to_string).collect();
    if !plan.is_empty() && !agreed(args.consent, &table, &json!({ "repairs": said }), "repair this")? {
        return Ok(());
    }
    let cluster = mend(&gate, &args.moving.options(), args.replace).await?;
    let left = check(&cluster);
    if left.is_empty() {
        say::talk("nothing is wrong");
        return Ok(());
    }
    Err(SlotsError::Unhealthy(left).into())
}

async fn mend(gate: &Gate, options: &Options, replace: bool) -> Result<Cluster, SlotsError> {
    let bar = Bar::start();
    let tell = |one: &Repair| say::talk(one);
    let report = |event| bar.told(event);
    let Gate { access, entry, .. } = gate;
    let repairs = Repairs { access, entry, options, replace, tell: &tell, report: &report };
    let mended = repair(&repairs).await;
    bar.end();
    mended
}

pub(super) async fn add_node(args: &AddArgs) -> Result<(), Failure> {
    let gate = Gate::at(&args.seed).await?;
    let cluster = gate.look().await?;
    let master = args.replica_of.as_ref().map(|name| named(&cluster, name)).transpose()?;
    add(&gate.access, &cluster, &args.node, master.map(|node| &node.id)).await?;
    say::talk(format_args!("{} belongs to the cluster", args.node));
    Ok(())
}

pub(super) async fn del_node(args: &DelArgs) -> Result<(), Failure> {
    let gate = Gate::at(&args.seed).await?;
    let cluster = gate.look_alone().await?;
    let node = named(&cluster, &args.node)?;
    remove(&gate.access, &cluster, node).await?;
    say::talk(format_args!("{} has left the cluster", node.endpoint));
    Ok(())
}

/// What is moved by hand in a cluster that is looked after would be moved back.
async fn by_hand(which: &WhichArgs) -> Result<Gate, Failure> {
    let Some(name) = &which.name else { return Gate::to(which).await };
    let message =
        format_args!("the slots of {name} are where its spec.shards and spec.weights say; nothing was moved");
    Err(Failure::new(Code::Fault, message).hint(format_args!(
        "write other spec.weights or spec.shards and apply them; `redoubt status {name}` shows how far it is"
    )))
}

/// A cluster in which slots may be moved. What an interrupted run left open is finished first.
async fn ready(gate: &Gate, options: &Options, consent: ConsentArgs) -> Result<Cluster, Failure> {
    let cluster = entered(gate, consent).await?;
    let findings = check(&cluster);
    if findings.is_empty() {
        return Ok(cluster);
    }
    if consent.dry_run || !is_unfinished(&findings) {
        return Err(SlotsError::Unhealthy(findings).into());
    }
    let cluster = mend(gate, options, false).await?;
    match check(&cluster) {
        left if left.is_empty() => Ok(cluster),
        left => Err(SlotsError::Unhealthy(left).into()),
    }
}

/// Who only wants to see the plan disturbs nobody.
async fn entered(gate: &Gate, consent: ConsentArgs) -> Result<Cluster, Failure> {
    if consent.dry_run { gate.look().await } else { gate.look_alone().await }
}

async fn carry_out(
    access: &Access,
    cluster: &Cluster,
    moves: Vec<Move>,
    options: &Options,
    consent: ConsentArgs,
) -> Result<(), Failure> {
    let count: usize = moves.iter().map(|one| one.slots.len()).sum();
    if count == 0 {
        say::talk("nothing has to move");
        return Ok(());
    }
    let (table, data) = shown(cluster, &moves, count);
    if !agreed(consent, &table, &data, &format!("move {count} slots"))? {
        return Ok(());
    }
    let guard = Guard::take(access, cluster).await?;
    let cluster = &unchanged(access, cluster, &moves).await?;
    let bar = Bar::start();
    let report = |event| bar.told(event);
    let begun = tokio::time::Instant::now();
    let stop: Stop = stop_when_asked();
    let result = Mover { access, cluster, options, report: &report }.run(&guard, moves, stop).await;
    let keys = bar.end();
    let (summary, seconds) = (result?, begun.elapsed().as_secs_f64());
    if consent.output == DataForm::Json {
        let data =
            json!({ "slots": summary.slots, "keys": keys, "seconds": seconds, "stopped": summary.stopped });
        say::data(&format!("{data:#}\n"))?;
    } else {
        say::talk(format_args!("moved {} slots with {keys} keys in {seconds:.1} s", summary.slots));
    }
    if summary.stopped {
        say::hint("no slot is open; run this again to move the rest");
        return Err(Failure::silent(Code::Interrupted));
    }
    // What follows this command finds a cluster that agrees.
    look_settled(access, &cluster.nodes[0].endpoint).await?;
    Ok(())
}

/// The cluster as it is now that nobody else moves slots. While the plan was read, somebody else may have.
async fn unchanged(access: &Access, planned: &Cluster, moves: &[Move]) -> Result<Cluster, Failure> {
    let cluster = look_settled(access, &planned.nodes[0].endpoint).await?;
    let findings = check(&cluster);
    if !findings.is_empty() {
        return Err(SlotsError::Unhealthy(findings).into());
    }
    let owns =
        |one: &Move| cluster.node(&one.from).is_some_and(|node| one.slots.without(&node.slots).is_empty());
    let leads = |one: &Move| cluster.node(&one.to).is_some_and(|node| node.is_master);
    if moves.iter().all(|one| owns(one) && leads(one)) {
        return Ok(cluster);
    }
    Err(fault("the cluster has changed since this plan was made; run this again for a new one"))
}

fn shown(cluster: &Cluster, moves: &[Move], count: usize) -> (Table, Json) {
    let name = |id| cluster.node(id).map_or_else(|| id.to_string(), |node| node.endpoint.to_string());
    let mut table = Table::new(&["FROM", "TO", "COUNT", "SLOTS"]);
    let mut rows = Vec::new();
    for one in moves {
        let (from, to, number) = (name(&one.from), name(&one.to), one.slots.len());
        rows.push(json!({ "from": from, "to": to, "count": number, "slots": one.slots.ranges() }));
        table.row([from, to, number.to_string(), one.slots.to_string()].map(Into::into));
    }
    (table, json!({ "slots": count, "moves": rows }))
}

/// Shows the plan; whether it is to be carried out.
fn agreed(consent: ConsentArgs, table: &Table, data: &Json, what: &str) -> Result<bool, Failure> {
    if consent.dry_run {
        match consent.output {
            DataForm::Text => say::data(&table.render())?,
            DataForm::Json => say::data(&format!("{data:#}\n"))?,
        }
        return Ok(false);
    }
    if consent.yes {
        return Ok(true);
    }
    if !consent::can_be_asked() {
        return Err(Failure::new(Code::Fault, format_args!("nobody was asked whether to {what}"))
            .hint("add --yes, or --dry-run to see the plan"));
    }
    say::talk(table.render().trim_end());
    Ok(consent::agreed(what)?)
}

fn named<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a Node, Failure> {
    let unknown = || {
        let known: Vec<String> = cluster.nodes.iter().map(|node| node.endpoint.to_string()).collect();
        Failure::unknown("node", name, &known)
    };
    cluster.find(name).ok_or_else(unknown)
}
