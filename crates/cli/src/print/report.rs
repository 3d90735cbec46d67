//! The status of a `Redis` for a person at 3 a.m.: what is wrong, why, what to do; then who does what.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use redoubt_api::{
    Condition, ConditionStatus, ConditionType, Event, LastFailover, NodeStatus, Role, SentinelStatus,
    ShardStatus,
};
use redoubt_redis::cluster::{SLOTS, SlotSet};

use super::{
    amount::{ago, bytes, count},
    table::{Cell, Table},
};
use crate::report::{LiveNode, LiveSentinel, Report};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// Events shown without `-o wide`.
const RECENT: usize = 5;
/// What is not known, or not so.
const NOTHING: &str = "-";

/// One `Redis` in full.
pub(crate) fn text(report: &Report, now: Timestamp, wide: bool) -> String {
    let mut text = headline(report);
    text.push_str(&conditions(&report.status.conditions, wide));
    text.push('\n');
    text.push_str(&nodes(report, wide));
    if !report.status.sentinels.is_empty() {
        text.push('\n');
        text.push_str(&sentinels(report, wide));
    }
    if !report.status.shards.is_empty() {
        text.push('\n');
        text.push_str(&shards(&report.status.shards));
    }
    if let Some(failover) = &report.status.last_failover {
        text.push('\n');
        text.push_str(&last_failover(failover, now, wide));
    }
    text.push_str(&events(&report.status.events, now, wide));
    text
}

/// One line for each of several.
pub(crate) fn list(reports: &[Report]) -> String {
    let mut table = Table::new(&["NAME", "STATUS", "MASTER", "NODES", "SENTINELS", "MESSAGE"]);
    for report in reports {
        let (word, style) = verdict(&report.status.conditions);
        table.row([
            Cell::styled(&report.name, STRONG),
            Cell::styled(word, style),
            report.status.master.as_deref().unwrap_or(NOTHING).into(),
            ready_of(report.status.nodes.iter().map(|node| node.ready)).into(),
            ready_of(report.status.sentinels.iter().map(|sentinel| sentinel.ready)).into(),
            worst(&report.status.conditions).map_or("", |condition| condition.message.as_str()).into(),
        ]);
    }
    table.render()
}

/// The last change of master, in a line.
pub(crate) fn failover_line(failover: &LastFailover) -> String {
    let from = failover.old_master.as_deref().unwrap_or("nobody");
    let to = failover.new_master.as_deref().unwrap_or("nobody");
    let mut line = format!("{from} -> {to} ({}), {} ms", failover.cause, failover.duration_ms);
    if let Some(behind) = failover.bytes_behind {
        let _ = write!(line, ", {} behind", bytes(behind));
    }
    if failover.outcome != "Done" {
        let _ = write!(line, "; {}", failover.outcome);
    }
    line
}

/// One word for all conditions.
pub(crate) fn verdict(conditions: &[Condition]) -> (&'static str, Style) {
    let is = |kind, status| conditions.iter().any(|c| c.kind == kind && c.status == status);
    if conditions.is_empty() {
        ("Unknown", DOUBTFUL)
    } else if is(ConditionType::Ready, ConditionStatus::True) {
        ("Ready", GOOD)
    } else if is(ConditionType::Available, ConditionStatus::False) {
        ("Unavailable", BAD)
    } else if is(ConditionType::Degraded, ConditionStatus::True) {
        ("Degraded", DOUBTFUL)
    } else if is(ConditionType::Progressing, ConditionStatus::True) {
        ("Progressing", DOUBTFUL)
    } else {
        ("NotReady", DOUBTFUL)
    }
}

fn headline(report: &Report) -> String {
    let (word, style) = verdict(&report.status.conditions);
    let mut line = format!("{STRONG}{}{STRONG:#}  {style}{word}{style:#}", report.name);
    let _ = write!(line, "  {}", count(report.status.nodes.len(), "node"));
    if !report.status.sentinels.is_empty() {
        let _ = write!(line, ", {}", count(report.status.sentinels.len(), "Sentinel"));
    }
    line.push('\n');
    // Where nothing runs at all, the conditions say so.
    let unwatched = report.engine.is_some_and(|engine| !engine.running);
    if unwatched && report.live.anybody_answers() {
        let _ = writeln!(
            line,
            "{DOUBTFUL}nobody watches it:{DOUBTFUL:#} no engine runs, so this is what the agents say now; start one \
             with `redoubt up`"
        );
    }
    line
}

/// Everything that is not as it should be; all of it when wide.
fn conditions(conditions: &[Condition], wide: bool) -> String {
    let mut text = String::new();
    for condition in conditions.iter().filter(|condition| wide || !is_good(condition)) {
        let style = if is_good(condition) { GOOD } else { BAD };
        let Condition { reason, message, .. } = condition;
        let label = label(condition);
        let _ = writeln!(text, "  {style}{label}{style:#} {FAINT}({reason}){FAINT:#}: {message}");
    }
    text
}

/// The condition in words: `not Ready`.
pub(crate) fn label(condition: &Condition) -> String {
    let status = match condition.status {
        ConditionStatus::True => "",
        ConditionStatus::False => "not ",
        ConditionStatus::Unknown => "unknown whether ",
    };
    format!("{status}{:?}", condition.kind)
}

/// For most conditions `True` is good.
pub(crate) fn is_good(condition: &Condition) -> bool {
    let good = match condition.kind {
        ConditionType::Degraded | ConditionType::Progressing | ConditionType::Questionable => {
            ConditionStatus::False
        }
        _ => ConditionStatus::True,
    };
    condition.status == good
}

/// The condition that is not as it should be and says most: what was refused explains all others.
pub(crate) fn worst(conditions: &[Condition]) -> Option<&Condition> {
    let order = |condition: &&Condition| match condition.kind {
        _ if is_refusal(condition) => 0,
        ConditionType::Available => 1,
        ConditionType::SentinelQuorum => 2,
        ConditionType::Degraded => 3,
        ConditionType::Progressing => 4,
        ConditionType::Ready => 5,
        ConditionType::Honoured => 6,
        ConditionType::Questionable => 7,
    };
    conditions.iter().filter(|condition| !is_good(condition)).min_by_key(order)
}

/// Something that was asked for is at fault.
pub(crate) fn is_refusal(condition: &Condition) -> bool {
    condition.reason.ends_with("Refused")
}

fn ready_of(all: impl Iterator<Item = bool>) -> String {
    let (ready, total) =
        all.fold((0, 0), |(ready, total), is_ready| (ready + usize::from(is_ready), total + 1));
    if total == 0 { NOTHING.to_owned() } else { format!("{ready}/{total}") }
}

fn nodes(report: &Report, wide: bool) -> String {
    let mut head = vec!["NODE", "ROLE", "STATE", "ADDRESS", "OFFSET", "LAG", "LINK", "MEMORY"];
    if wide {
        head.extend(["KEYS", "CLIENTS", "OPS/S", "FULL SYNCS", "PID", "VERSION"]);
    }
    let mut table = Table::new(&head);
    for node in &report.status.nodes {
        let unknown = LiveNode::default();
        let live = report.live.nodes.get(&node.name).unwrap_or(&unknown);
        let mut row = node_row(node, live);
        if wide {
            row.extend(node_figures(live));
        }
        table.row(row);
    }
    table.render()
}

fn node_row(node: &NodeStatus, live: &LiveNode) -> Vec<Cell> {
    let role = match node.role {
        Some(Role::Master) => Cell::styled("master", STRONG),
        Some(Role::Replica) => "replica".into(),
        None => Cell::styled("unknown", DOUBTFUL),
    };
    let state = if node.ready { GOOD } else { BAD };
    let link = live.link.map_or_else(
        || NOTHING.into(),
        |link| Cell::styled(link, if link == "up" { Style::new() } else { BAD }),
    );
    vec![
        node.name.as_str().into(),
        role,
        Cell::styled(&node.state, state),
        node.address.as_str().into(),
        or_nothing(live.offset).into(),
        live.lag_bytes.map_or_else(|| NOTHING.to_owned(), bytes).into(),
        link,
        live.memory_bytes.map_or_else(|| NOTHING.to_owned(), bytes).into(),
    ]
}

fn node_figures(live: &LiveNode) -> [Cell; 6] {
    [
        or_nothing(live.keys).into(),
        or_nothing(live.clients).into(),
        or_nothing(live.ops_per_second).into(),
        or_nothing(live.full_syncs).into(),
        or_nothing(live.server_pid).into(),
        or_nothing(live.server_version.as_ref()).into(),
    ]
}

fn sentinels(report: &Report, wide: bool) -> String {
    let mut head = vec!["SENTINEL", "STATE", "ADDRESS", "NAMES AS MASTER"];
    if wide {
        head.extend(["EPOCH", "KNOWS SENTINELS", "KNOWS REPLICAS", "PID"]);
    }
    let mut table = Table::new(&head);
    for sentinel in &report.status.sentinels {
        let unknown = LiveSentinel::default();
        let live = report.live.sentinels.get(&sentinel.name).unwrap_or(&unknown);
        let mut row = sentinel_row(sentinel, &report.status.nodes);
        if wide {
            row.extend([
                or_nothing(live.epoch).into(),
                or_nothing(live.known_sentinels).into(),
                or_nothing(live.known_replicas).into(),
                or_nothing(live.server_pid).into(),
            ]);
        }
        table.row(row);
    }
    table.render()
}

/// So many characters show all slots.
const MAP_WIDTH: usize = 64;

/// The map of the slots: a line a shard, with where in all of them its own are.
fn shards(shards: &[ShardStatus]) -> String {
    let mut table = Table::new(&["SHARD", "MASTER", "SLOTS", "WHERE", "RANGES"]);
    for shard in shards {
        let master = shard.master.as_deref().map_or_else(|| Cell::styled("nobody", BAD), Into::into);
        let ranges = if shard.slots.is_empty() { NOTHING } else { &shard.slots };
        table.row([
            shard.shard.to_string().into(),
            master,
            shard.count.to_string().into(),
            drawn(&shard.slots).into(),
            ranges.into(),
        ]);
    }
    table.render()
}

/// `##......`: each character is a stretch of slots, `#` where any of it is owned.
fn drawn(slots: &str) -> String {
    // What a status of another version may say is no reason not to show the rest.
    let owned: SlotSet = slots.parse().unwrap_or_default();
    let stretch = usize::from(SLOTS) / MAP_WIDTH;
    let mut line = vec!['.'; MAP_WIDTH];
    for slot in owned.iter() {
        line[usize::from(slot) / stretch] = '#';
    }
    line.into_iter().collect()
}

fn sentinel_row(sentinel: &SentinelStatus, nodes: &[NodeStatus]) -> Vec<Cell> {
    let state = if sentinel.ready { GOOD } else { BAD };
    let named = sentinel.master.as_deref().map_or(NOTHING, |address| {
        nodes.iter().find(|node| node.address == address).map_or(address, |node| node.name.as_str())
    });
    vec![
        sentinel.name.as_str().into(),
        Cell::styled(&sentinel.state, state),
        sentinel.address.as_str().into(),
        named.into(),
    ]
}

fn last_failover(failover: &LastFailover, now: Timestamp, wide: bool) -> String {
    let mut text = format!(
        "{STRONG}Last failover{STRONG:#}  {}, {} {FAINT}(id {}){FAINT:#}\n",
        failover_line(failover),
        ago(failover.started_at, now),
        failover.id
    );
    if wide {
        let epoch = or_nothing(failover.epoch);
        let _ = writeln!(text, "  epoch {epoch}, voted by {}", failover.votes.join(", "));
        for step in &failover.steps {
            let _ = writeln!(text, "  {:>8.1} ms  {}", milliseconds(step.at_us), step.step);
        }
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "steps of a failover are far below 2^52 microseconds")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn events(events: &[Event], now: Timestamp, wide: bool) -> String {
    let shown = if wide { events.len() } else { RECENT.min(events.len()) };
    if shown == 0 {
        return String::new();
    }
    let mut table = Table::new(&["WHEN", "WHERE", "EVENT", "MESSAGE"]);
    for event in &events[events.len() - shown..] {
        let style = if event.warning { DOUBTFUL } else { Style::new() };
        table.row([
            ago(event.at, now).into(),
            event.source.as_str().into(),
            Cell::styled(&event.reason, style),
            event.message.as_str().into(),
        ]);
    }
    format!("\n{}", table.render())
}

fn or_nothing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
