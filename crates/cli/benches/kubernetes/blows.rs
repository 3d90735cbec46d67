//! How long writes stop, and whether any is lost.

use std::time::Duration;

use redoubt_drill::{ClientKind, DrillResult};

use crate::{
    Result,
    cluster::Namespace,
    game::{self, Blow},
    median, promise,
};

const LIMIT: Duration = Duration::from_mins(5);
/// Those who ask the Sentinels, and those who use the master's Service.
const CLIENTS: [ClientKind; 2] = [ClientKind::Sentinel, ClientKind::Service];

pub(crate) fn measure(rounds: usize) -> Result<()> {
    let namespace = Namespace::new("blows")?;
    namespace.apply("cart", "")?;
    let game = Game { namespace: &namespace, redis: "cart", rounds, shards: None };
    header("spotahome 632aa3d");
    for blow in Blow::ALL {
        for client in CLIENTS {
            let results = game.play(blow, client)?;
            row(blow, client, &results, |gap| beside(blow, client, gap));
        }
    }
    Ok(())
}

/// In mode Cluster, one shard after the other. No figures of other operators for it were ever measured here.
pub(crate) fn measure_shards(rounds: usize) -> Result<()> {
    let namespace = Namespace::new("shards")?;
    namespace.apply_shop()?;
    let game = Game { namespace: &namespace, redis: "shop", rounds, shards: Some(3) };
    header("");
    for blow in [Blow::Kill, Blow::Delete, Blow::Drain] {
        let results = game.play(blow, ClientKind::Role)?;
        row(blow, ClientKind::Role, &results, |_| String::new());
    }
    Ok(())
}

struct Game<'a> {
    namespace: &'a Namespace,
    redis: &'a str,
    rounds: usize,
    shards: Option<u32>,
}

impl Game<'_> {
    fn play(&self, blow: Blow, client: ClientKind) -> Result<Vec<DrillResult>> {
        let runtime = tokio::runtime::Runtime::new()?;
        let mut shards = (0..self.shards.unwrap_or(1)).cycle();
        let mut results = Vec::new();
        for round in 1..=self.rounds {
            let shard = shards.next().filter(|_| self.shards.is_some());
            self.namespace.ready(self.redis, LIMIT)?;
            let played = game::play(&self.namespace.0, self.redis, blow, client, shard);
            let result = runtime.block_on(played)?;
            eprintln!(
                "{round:>3}  {}, client {client}: {:?} ms, lost {:?}",
                blow.name(),
                result.write_gap_ms,
                result.lost
            );
            results.push(result);
        }
        Ok(results)
    }
}

fn header(peer: &str) {
    println!("{:<22}{:<10}{:>8}{:>8}{:>8}{:>6}   {peer}", "", "client", "min", "median", "max", "lost");
}

fn row(blow: Blow, client: ClientKind, results: &[DrillResult], beside: impl Fn(Option<u64>) -> String) {
    let gaps: Option<Vec<u64>> = results.iter().map(|result| result.write_gap_ms).collect();
    let lost: Option<u64> = results.iter().map(|result| result.lost).sum();
    let gaps = gaps.unwrap_or_default();
    let shown = |gap: Option<u64>| gap.map_or_else(|| "-".to_owned(), |gap| gap.to_string());
    let middle = median(gaps.clone());
    println!(
        "{:<22}{client:<10}{:>8}{:>8}{:>8}{:>6}   {}",
        blow.name(),
        shown(gaps.iter().min().copied()),
        shown(middle),
        shown(gaps.iter().max().copied()),
        shown(lost),
        beside(middle),
    );
    let mark = mark(blow, client);
    let kept = middle.is_some_and(|gap| gap <= mark) && lost == Some(0);
    promise(kept, &format!("median at most {mark} ms, nothing lost"));
}

/// Milliseconds.
fn mark(blow: Blow, client: ClientKind) -> u64 {
    match (blow, client) {
        (Blow::DeleteByForce | Blow::KillContainer, _) => 3000,
        (_, ClientKind::Service) => 1000,
        _ => 250,
    }
}

/// Medians in milliseconds, as measured on such a lab.
fn beside(blow: Blow, client: ClientKind, ours: Option<u64>) -> String {
    let theirs = match (blow, client) {
        (Blow::Kill, ClientKind::Sentinel) => (31_500, ""),
        (Blow::Kill, _) => (65_600, ""),
        (Blow::Delete, ClientKind::Sentinel) => (190, ", 2012 lost"),
        (Blow::Delete, _) => (41_700, ", 2009 lost"),
        (Blow::Resources, ClientKind::Sentinel) => (440, ", 2050 lost"),
        (Blow::Resources, _) => (55_000, ", 2050 lost"),
        (Blow::Drain | Blow::DeleteByForce | Blow::KillContainer, _) => return "not measured".to_owned(),
    };
    let (gap, lost) = theirs;
    let tenths = ours.map_or(0, |ours| gap * 10 / ours.max(1));
    format!("{gap} ms{lost} ({}.{}x)", tenths / 10, tenths % 10)
}
