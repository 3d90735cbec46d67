//! The table, and the promises it is held against.

use redoubt_drill::{ClientKind, Scenario};

use crate::{
    CLIENTS, EVENTS, SHARD_EVENTS, beside,
    figures::{Figures, Rounds, load},
    plain::Way,
};

/// Longest median gap after a crash, milliseconds.
const CRASH: u64 = 100;
/// Longest median gap of a hand-over, milliseconds.
const HAND_OVER: u64 = 50;
/// The same in a shard of a cluster, whose masters vote over their bus.
const SHARD_CRASH: u64 = 250;
const SHARD_HAND_OVER: u64 = 100;
/// Longest median gap when the agent dies with its server, milliseconds.
const AGENT: u64 = 3_000;
/// `hangLimit`, milliseconds: what a hang takes to be called one.
const HANG_LIMIT: u64 = 3_000;

/// Prints both sets side by side.
pub(crate) fn print(figures: &Figures, load_before: &str) {
    println!("\nWrite gap in ms; lost: acknowledged writes that are gone, of all rounds together\n");
    println!("{:<26}{:>4}{HEAD}   {:<19}{HEAD}{:>9}", "Redoubt", "n", "plain Sentinel", "ratio");
    let rows = || EVENTS.into_iter().flat_map(|scenario| CLIENTS.map(|client| (scenario, client)));
    for (scenario, client) in rows() {
        if let Some(ours) = figures.redoubt(scenario, client) {
            row(scenario, client, ours, figures.plain(peer(scenario), client));
        }
    }
    println!("\nratio: the median of plain Sentinel by the median of Redoubt.");
    println!(
        "load (1, 5, 15 minutes) before: {load_before}; at the end, with the benchmark's own: {}",
        load()
    );
    println!("\nPromised:");
    for (scenario, client) in rows() {
        if let Some(ours) = figures.redoubt(scenario, client) {
            promise(scenario, client, ours);
        }
    }
}

/// Prints what became of a shard's writes. The bus alone misses a dead master after its node timeout, 5 s.
pub(crate) fn print_cluster(figures: &Figures) {
    println!("\n{:<26}{:>4}{HEAD}", "Redoubt, mode Cluster", "n");
    let rows =
        || SHARD_EVENTS.into_iter().filter_map(|scenario| Some((scenario, figures.cluster(scenario)?)));
    for (scenario, rounds) in rows() {
        println!("{scenario:<26}{:>4}{}", rounds.count(), cells(rounds));
    }
    println!("\nPromised:");
    for (scenario, rounds) in rows() {
        let limit = if scenario == Scenario::Switchover { SHARD_HAND_OVER } else { SHARD_CRASH };
        verdict(rounds, limit, &format!("{scenario} of a shard's master"));
    }
}

const HEAD: &str = "     min  median     max    lost";

/// Plain Sentinel has one event for all that is planned, and one for all that is not.
fn peer(scenario: Scenario) -> Way {
    match scenario {
        Scenario::Switchover | Scenario::Roll => Way::Failover,
        _ => Way::Kill,
    }
}

fn row(scenario: Scenario, client: ClientKind, ours: &Rounds, theirs: Option<&Rounds>) {
    let ratio = theirs.and_then(|theirs| ratio(ours, theirs)).unwrap_or_default();
    let way = peer(scenario).name();
    let beside = match theirs {
        Some(theirs) if beside(scenario).is_some() => format!("{way:<19}{}", cells(theirs)),
        _ => format!("{:<width$}", format!("({way}, as above)"), width = 19 + HEAD.len()),
    };
    println!("{scenario:<16}{client:<10}{:>4}{}   {beside}{ratio:>9}", ours.count(), cells(ours));
}

fn cells(rounds: &Rounds) -> String {
    let [min, median, max] =
        rounds.gaps().map(|gap| gap.map_or_else(|| "never".to_owned(), |gap| gap.to_string()));
    let lost = rounds.lost().map_or_else(|| "unknown".to_owned(), |lost| lost.to_string());
    format!("{min:>8}{median:>8}{max:>8}{lost:>8}")
}

fn ratio(ours: &Rounds, theirs: &Rounds) -> Option<String> {
    let ([_, ours, _], [_, theirs, _]) = (ours.gaps(), theirs.gaps());
    let tenths = theirs? * 10 / ours?.max(1);
    Some(format!("{}.{}x", tenths / 10, tenths % 10))
}

fn promise(scenario: Scenario, client: ClientKind, ours: &Rounds) {
    let limit = match scenario {
        Scenario::Switchover | Scenario::Roll => HAND_OVER,
        Scenario::FreezeMaster => HANG_LIMIT + CRASH,
        Scenario::KillAgent => AGENT,
        _ => CRASH,
    };
    verdict(ours, limit, &format!("{scenario}, client {client}"));
}

fn verdict(rounds: &Rounds, limit: u64, what: &str) {
    let [_, median, _] = rounds.gaps();
    let kept = median.is_some_and(|median| median <= limit) && rounds.lost() == Some(0);
    let verdict = if kept { "kept:  " } else { "BROKEN:" };
    println!("  {verdict} {what}: median at most {limit} ms, nothing lost");
}
