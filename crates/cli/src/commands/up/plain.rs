//! What happens, line by line, where there is no terminal for a live view.

use std::{collections::BTreeMap, future::Future};

use jiff::Timestamp;
use redoubt_api::Event;
use tokio::sync::mpsc;

use super::sight::Sight;
use crate::{
    print::report::{verdict, worst},
    report::Report,
    say,
    view::Feed as _,
};

/// Says what happens until somebody ends it.
pub(super) async fn run(
    sight: &Sight,
    messages: &mut mpsc::Receiver<String>,
    ended: impl Future<Output = ()>,
) {
    let start = Timestamp::now();
    let mut told = BTreeMap::new();
    tokio::pin!(ended);
    loop {
        let changed = sight.changed();
        for report in sight.published() {
            let last = told.entry(report.name.clone()).or_insert_with(|| Told::since(start));
            last.lines(&report, &sight.paste(&report)).iter().for_each(say::talk);
        }
        tokio::select! {
            () = changed => {}
            message = messages.recv() => match message {
                Some(message) => say::talk(message),
                None => return,
            },
            () = &mut ended => return,
        }
    }
}

/// What was said of one Redis.
#[derive(Debug)]
struct Told {
    /// Events before this belong to an earlier engine.
    since: Timestamp,
    state: String,
    event: Option<Event>,
}

impl Told {
    fn since(since: Timestamp) -> Self {
        Self { since, state: String::new(), event: None }
    }

    /// What is new since the last look.
    fn lines(&mut self, report: &Report, paste: &str) -> Vec<String> {
        let name = &report.name;
        let mut lines: Vec<String> =
            self.new_events(report).iter().map(|event| event_line(name, event)).collect();
        let state = state_line(report, paste);
        if state != self.state {
            lines.push(format!("{name}: {state}"));
            self.state = state;
        }
        lines
    }

    /// Events are kept in order; those after the last one that was told are new.
    fn new_events<'a>(&mut self, report: &'a Report) -> &'a [Event] {
        let events = &report.status.events;
        let known = self.event.as_ref().and_then(|last| events.iter().rposition(|event| event == last));
        self.event = events.last().cloned();
        let first =
            known.map_or_else(|| events.partition_point(|event| event.at < self.since), |known| known + 1);
        &events[first..]
    }
}

fn event_line(name: &str, event: &Event) -> String {
    let Event { source, reason, message, warning, .. } = event;
    let mark = if *warning { "! " } else { "" };
    if source == name {
        format!("{mark}{name}: {reason}: {message}")
    } else {
        format!("{mark}{name}: {source}: {reason}: {message}")
    }
}

fn state_line(report: &Report, paste: &str) -> String {
    let (word, _) = verdict(&report.status.conditions);
    match (worst(&report.status.conditions), report.master_address()) {
        (Some(trouble), _) => format!("{word}: {}", trouble.message),
        (None, Some(address)) => format!("{word}: connect to {address}, as with: {paste}"),
        (None, None) => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::report::tests::{now, report};

    #[test]
    fn what_an_earlier_engine_told_is_not_told_again() {
        let lines = Told::since(now()).lines(&report(), "redis-cli");
        assert_eq!(lines, ["cart: Degraded: 1 of 2 nodes is in sync"]);
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut report = report();
        let mut told = Told::since(report.status.events[0].at);
        let first = told.lines(&report, "redis-cli");
        assert_eq!(
            first,
            ["! cart: cart-1: ServerExited: killed by signal 9", "cart: Degraded: 1 of 2 nodes is in sync"]
        );
        assert!(told.lines(&report, "redis-cli").is_empty());
        let mut event = report.status.events[0].clone();
        event.reason = "ServerStarted".to_owned();
        report.status.events.push(event);
        assert_eq!(told.lines(&report, "redis-cli"), ["! cart: cart-1: ServerStarted: killed by signal 9"]);
        report.status.conditions.clear();
        assert_eq!(
            told.lines(&report, "redis-cli"),
            ["cart: Unknown: connect to 127.7.0.0:6379, as with: redis-cli"]
        );
    }
}
