//! What only looks.

use redoubt_slots::{Cluster, Finding, Node, check as judge, strays};
use serde_json::{Value as Json, json};

use super::login::Gate;
use crate::{
    args::{CallArgs, DataForm, LookArgs},
    failure::{Code, Failure},
    print::table::Table,
    say,
};

pub(super) async fn check(args: &LookArgs) -> Result<(), Failure> {
    let gate = Gate::to(&args.which).await?;
    let cluster = gate.look().await?;
    let mut findings = judge(&cluster);
    for (id, slot, keys) in strays(&gate.access, &cluster).await? {
        let node = cluster.node(&id).map(|node| node.endpoint.clone());
        findings.extend(node.map(|node| Finding::Stray { slot, node, keys }));
    }
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let covered = cluster.covered().len();
    match args.output {
        DataForm::Json => say::data(&format!(
            "{:#}\n",
            json!({ "ok": said.is_empty(), "covered": covered, "findings": said })
        ))?,
        DataForm::Text if said.is_empty() => {
            say::data(&format!(
                "all is well: {} nodes agree, {covered} slots are covered\n",
                cluster.nodes.len()
            ))?;
        }
        DataForm::Text => say::data(&format!("{}\n", said.join("\n")))?,
    }
    if said.is_empty() {
        return Ok(());
    }
    match &args.which.name {
        // Its agents see to it, and know what nobody else does: which node belongs where.
        Some(name) => say::hint(format!("its agents mend what can be mended; see `redoubt status {name}`")),
        None => say::hint("`redoubt cluster fix` repairs what can be repaired"),
    }
    Err(Failure::silent(Code::NotHealthy))
}

pub(super) async fn info(args: &LookArgs) -> Result<(), Failure> {
    let cluster = Gate::to(&args.which).await?.look().await?;
    if args.output == DataForm::Json {
        let masters: Vec<Json> = cluster.masters().map(|node| row(&cluster, node)).collect();
        return say::data(&format!("{:#}\n", json!({ "masters": masters })));
    }
    let mut table = Table::new(&["MASTER", "ID", "KEYS", "SLOTS", "REPLICAS"]);
    for node in cluster.masters() {
        let replicas = cluster.replicas_of(&node.id).count();
        let numbers = [node.keys().unwrap_or(0), node.slots.len() as u64, replicas as u64];
        let head = [node.endpoint.to_string(), node.id.short().to_owned()];
        table.row(head.into_iter().chain(numbers.map(|number| number.to_string())).map(Into::into));
    }
    say::data(&table.render())
}

pub(super) async fn nodes(args: &LookArgs) -> Result<(), Failure> {
    let cluster = Gate::to(&args.which).await?.look().await?;
    if args.output == DataForm::Json {
        let nodes: Vec<Json> = cluster.nodes.iter().map(|node| row(&cluster, node)).collect();
        return say::data(&format!("{:#}\n", json!({ "nodes": nodes })));
    }
    let mut table = Table::new(&["NODE", "ID", "ROLE", "STATE", "SLOTS"]);
    for node in &cluster.nodes {
        let role = match &node.master {
            Some(master) => format!("replica of {}", master.short()),
            None => "master".to_owned(),
        };
        let cells = [
            node.endpoint.to_string(),
            node.id.to_string(),
            role,
            state(node).to_owned(),
            node.slots.to_string(),
        ];
        table.row(cells.map(Into::into));
    }
    say::data(&table.render())
}

fn state(node: &Node) -> &'static str {
    match &node.view {
        Err(_) => "no answer",
        Ok(_) if node.is_failed => "failed",
        Ok(_) => "ok",
    }
}

fn row(cluster: &Cluster, node: &Node) -> Json {
    let replicas: Vec<String> =
        cluster.replicas_of(&node.id).map(|replica| replica.endpoint.to_string()).collect();
    json!({
        "id": node.id.as_str(),
        "address": node.endpoint.to_string(),
        "role": if node.is_master { "master" } else { "replica" },
        "master": node.master.as_ref().map(redoubt_redis::cluster::NodeId::as_str),
        "state": state(node),
        "keys": node.keys(),
        "slots": node.slots.ranges(),
        "replicas": replicas,
    })
}

pub(super) async fn call(args: &CallArgs) -> Result<(), Failure> {
    let gate = Gate::at(&args.seed).await?;
    let cluster = gate.look().await?;
    let mut failed = false;
    for (node, answer) in redoubt_slots::call(&gate.access, &cluster, &args.words, args.only_masters).await {
        let text = match answer {
            Ok(value) => text(&value),
            Err(error) => {
                failed = true;
                error.to_string()
            }
        };
        say::data(&format!("{node}: {text}\n"))?;
    }
    if failed { Err(Failure::silent(Code::Failed)) } else { Ok(()) }
}

fn text(value: &redoubt_redis::Value) -> String {
    use redoubt_redis::Value;
    match value {
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Integer(number) => number.to_string(),
        Value::Null => "(nil)".to_owned(),
        other => other
            .as_bytes()
            .map_or_else(|_| other.describe(), |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned()),
    }
}
