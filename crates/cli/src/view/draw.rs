//! Draws the screen.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize as _},
    text::{Line, Span, Text},
    widgets::{Block, Borders, Cell, Paragraph, Row, Table, Wrap},
};
use redoubt_api::{Condition, Role};

use super::Screen;
use crate::{
    print::{
        amount::{ago, bytes},
        report::{failover_line, is_good, label, verdict},
    },
    report::{LiveNode, Report},
};

/// Rows of the list of resources, its head included.
const MAX_LIST: u16 = 12;
/// Events shown.
const MAX_EVENTS: usize = 6;

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, screen: &Screen) {
    let several = screen.reports.len() > 1;
    let list = if several { rows(screen.reports.len() + 1).min(MAX_LIST) } else { 0 };
    let messages = rows(screen.messages.len());
    let [title, overview, detail, foot, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(list),
        Constraint::Fill(1),
        Constraint::Length(messages),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Line::from("redoubt up").bold(), title);
    if several {
        draw_list(frame, overview, screen);
    }
    match screen.shown() {
        Some(report) => {
            let paste = screen.paste.get(screen.selected).map_or("", String::as_str);
            draw_report(frame, detail, report, paste, screen);
        }
        None => frame.render_widget(Paragraph::new("starting …").dim(), detail),
    }
    let told: Vec<Line<'_>> =
        screen.messages.iter().map(|message| Line::from(message.as_str()).yellow()).collect();
    frame.render_widget(Text::from(told), foot);
    let turn = if several { "Tab next Redis   " } else { "" };
    frame.render_widget(Line::from(format!("{turn}Ctrl-C stops everything; data stays")).dim(), keys);
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, screen: &Screen) {
    // The list scrolls so that the one shown in full is on it.
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    let first = screen.selected.saturating_sub(room - 1);
    let listed = screen.reports.iter().enumerate().skip(first).take(room).map(|(index, report)| {
        let style = if index == screen.selected { Style::new().reversed() } else { Style::new() };
        let (word, good) = status_word(report);
        Row::new([
            Cell::from(report.name.as_str()),
            Cell::from(word).fg(good),
            Cell::from(report.status.master.as_deref().unwrap_or("-")),
            Cell::from(ready(report)),
        ])
        .style(style)
    });
    let names = screen.reports.iter().map(|report| report.name.as_str());
    let masters = screen.reports.iter().filter_map(|report| report.status.master.as_deref());
    let widths =
        [fitting(names, "NAME"), Constraint::Length(12), fitting(masters, "MASTER"), Constraint::Length(6)];
    let table = Table::new(listed, widths).header(head(&["NAME", "STATUS", "MASTER", "READY"]));
    frame.render_widget(table, area);
}

fn draw_report(frame: &mut Frame<'_>, area: Rect, report: &Report, paste: &str, screen: &Screen) {
    let (word, color) = status_word(report);
    let title = Line::from(vec![
        Span::from(format!(" {} ", report.name)).bold(),
        Span::from(format!("{word} ")).fg(color),
    ]);
    let block = Block::new().borders(Borders::TOP).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let troubles = troubles(report);
    let events = report.status.events.len().min(MAX_EVENTS);
    let sentinels = report.status.sentinels.len();
    let [top, nodes, sentinel_area, failover, event_area, connect] = Layout::vertical([
        Constraint::Max(rows(troubles.len() * 2)),
        Constraint::Length(rows(report.status.nodes.len() + 2)),
        Constraint::Length(if sentinels == 0 { 0 } else { rows(sentinels + 2) }),
        Constraint::Length(if report.status.last_failover.is_some() { 2 } else { 0 }),
        Constraint::Fill(rows(events + 1)),
        Constraint::Length(3),
    ])
    .areas(inner);
    frame.render_widget(Paragraph::new(troubles).wrap(Wrap { trim: true }), top);
    draw_nodes(frame, nodes, report);
    if sentinels > 0 {
        draw_sentinels(frame, sentinel_area, report);
    }
    if let Some(last) = &report.status.last_failover {
        let line = format!("{}, {}", failover_line(last), ago(last.started_at, screen.now));
        frame.render_widget(
            Line::from(vec![Span::from("last failover  ").bold(), Span::from(line)]),
            failover,
        );
    }
    draw_events(frame, event_area, report, screen);
    let address = report.master_address();
    let connection = vec![
        Line::from(vec![
            Span::from("connect to     ").bold(),
            Span::from(address.unwrap_or("nobody leads")).green(),
        ]),
        Line::from(vec![Span::from("paste          ").bold(), Span::from(paste)]),
    ];
    frame.render_widget(Text::from(connection), connect);
}

fn draw_nodes(frame: &mut Frame<'_>, area: Rect, report: &Report) {
    let unknown = LiveNode::default();
    let listed = report.status.nodes.iter().map(|node| {
        let live = report.live.nodes.get(&node.name).unwrap_or(&unknown);
        let role = match node.role {
            Some(Role::Master) => Cell::from("master").bold(),
            Some(Role::Replica) => Cell::from("replica"),
            None => Cell::from("unknown").yellow(),
        };
        Row::new([
            Cell::from(node.name.as_str()),
            role,
            Cell::from(node.state.as_str()).fg(good_or_bad(node.ready)),
            Cell::from(node.address.as_str()),
            Cell::from(live.lag_bytes.map_or_else(|| "-".to_owned(), bytes)),
            Cell::from(live.link.unwrap_or("-")),
            Cell::from(live.memory_bytes.map_or_else(|| "-".to_owned(), bytes)),
            Cell::from(live.ops_per_second.map_or_else(|| "-".to_owned(), |ops| ops.to_string())),
        ])
    });
    let nodes = &report.status.nodes;
    let widths = [
        fitting(nodes.iter().map(|node| node.name.as_str()), "NODE"),
        Constraint::Length(8),
        fitting(nodes.iter().map(|node| node.state.as_str()), "STATE"),
        fitting(nodes.iter().map(|node| node.address.as_str()), "ADDRESS"),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(7),
    ];
    let names = ["NODE", "ROLE", "STATE", "ADDRESS", "LAG", "LINK", "MEMORY", "OPS/S"];
    frame.render_widget(Table::new(listed, widths).header(head(&names)), area);
}

fn draw_sentinels(frame: &mut Frame<'_>, area: Rect, report: &Report) {
    let listed = report.status.sentinels.iter().map(|sentinel| {
        let named = sentinel.master.as_deref().unwrap_or("-");
        let node = report.status.nodes.iter().find(|node| node.address == named);
        Row::new([
            Cell::from(sentinel.name.as_str()),
            Cell::from(sentinel.state.as_str()).fg(good_or_bad(sentinel.ready)),
            Cell::from(sentinel.address.as_str()),
            Cell::from(node.map_or(named, |node| node.name.as_str())),
        ])
    });
    let sentinels = &report.status.sentinels;
    let widths = [
        fitting(sentinels.iter().map(|sentinel| sentinel.name.as_str()), "SENTINEL"),
        fitting(sentinels.iter().map(|sentinel| sentinel.state.as_str()), "STATE"),
        fitting(sentinels.iter().map(|sentinel| sentinel.address.as_str()), "ADDRESS"),
        Constraint::Fill(1),
    ];
    let table = Table::new(listed, widths).header(head(&["SENTINEL", "STATE", "ADDRESS", "NAMES AS MASTER"]));
    frame.render_widget(table, area);
}

fn draw_events(frame: &mut Frame<'_>, area: Rect, report: &Report, screen: &Screen) {
    let shown = report.status.events.iter().rev().take(MAX_EVENTS);
    let listed = shown.map(|event| {
        let color = if event.warning { Color::Yellow } else { Color::Reset };
        Row::new([
            Cell::from(ago(event.at, screen.now)),
            Cell::from(event.source.as_str()),
            Cell::from(event.reason.as_str()).fg(color),
            Cell::from(event.message.as_str()),
        ])
    });
    let events = &report.status.events;
    let widths = [
        Constraint::Length(11),
        fitting(events.iter().map(|event| event.source.as_str()), "WHERE"),
        fitting(events.iter().map(|event| event.reason.as_str()), "EVENT"),
        Constraint::Fill(1),
    ];
    let table = Table::new(listed, widths).header(head(&["WHEN", "WHERE", "EVENT", "MESSAGE"]));
    frame.render_widget(table, area);
}

/// What is not as it should be, a line each.
fn troubles(report: &Report) -> Vec<Line<'_>> {
    let line = |condition: &Condition| {
        let label = Span::from(format!("{} ", label(condition))).yellow();
        Line::from(vec![label, Span::from(condition.message.clone())])
    };
    report.status.conditions.iter().filter(|condition| !is_good(condition)).map(line).collect()
}

fn status_word(report: &Report) -> (&'static str, Color) {
    let (word, _) = verdict(&report.status.conditions);
    let color = match word {
        "Ready" => Color::Green,
        "Unavailable" => Color::Red,
        _ => Color::Yellow,
    };
    (word, color)
}

fn ready(report: &Report) -> String {
    let ready = report.status.nodes.iter().filter(|node| node.ready).count();
    format!("{ready}/{}", report.status.nodes.len())
}

/// As wide as the longest of them.
fn fitting<'a>(texts: impl Iterator<Item = &'a str>, head: &'a str) -> Constraint {
    let longest = texts.chain([head]).map(|text| text.chars().count()).max();
    Constraint::Length(rows(longest.unwrap_or(0) + 1))
}

fn good_or_bad(good: bool) -> Color {
    if good { Color::Green } else { Color::Red }
}

fn head(names: &[&'static str]) -> Row<'static> {
    Row::new(names.iter().map(|name| Cell::from(*name).bold()).collect::<Vec<_>>())
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::print::report::tests::{now, report};

    fn drawn(screen: &Screen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(110, 28)).unwrap();
        terminal.draw(|frame| draw(frame, screen)).unwrap();
        let lines = terminal.backend().to_string();
        lines.lines().map(|line| line.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n")
    }

    fn screen(names: &[&str]) -> Screen {
        let report = |name: &&str| Report { name: (*name).to_owned(), ..report() };
        let mut screen = Screen::new(now());
        screen.update(
            names.iter().map(report).collect(),
            vec!["redis-cli -h 127.7.0.0".to_owned(); names.len()],
            now(),
        );
        screen
    }

    #[test]
    fn one_redis_fills_the_screen() {
        insta::assert_snapshot!(drawn(&screen(&["cart"])), @r"
        redoubt up
         cart Degraded ───────────────────────────────────────────────────────────────────────────────────────────────
        not Ready cart-1 is starting; nothing to do
        Degraded 1 of 2 nodes is in sync


        NODE    ROLE     STATE     ADDRESS         LAG        LINK     MEMORY     OPS/S
        cart-0  master   running   127.7.0.0:6379  -          -        1.5 MiB    -
        cart-1  unknown  starting  127.7.0.1:6379  -          -        -          -

        SENTINEL         STATE    ADDRESS          NAMES AS MASTER
        cart-sentinel-0  running  127.7.1.0:26379  cart-0

        last failover  cart-1 -> cart-0 (crash), 12 ms, 0 B behind, 2 min ago

        WHEN        WHERE   EVENT         MESSAGE
        5 s ago     cart-1  ServerExited  killed by signal 9







        connect to     127.7.0.0:6379
        paste          redis-cli -h 127.7.0.0

        Ctrl-C stops everything; data stays
        ");
    }

    #[test]
    fn several_are_listed_and_one_is_shown_in_full() {
        let mut screen = screen(&["cart", "users"]);
        screen.turn(1);
        let text = drawn(&screen);
        assert!(text.contains("NAME") && text.contains(" users Degraded "), "{text}");
        assert!(text.contains("Tab next Redis"), "{text}");
        screen.turn(1);
        assert!(drawn(&screen).contains(" cart Degraded "));
    }

    #[test]
    fn the_one_that_was_shown_stays_shown_when_others_come_and_go() {
        let mut screen = screen(&["cart", "users"]);
        screen.turn(1);
        let names = ["basket", "cart", "users"].map(|name| Report { name: name.to_owned(), ..report() });
        screen.update(names.into(), vec![String::new(); 3], now());
        assert_eq!(screen.shown().unwrap().name, "users");
        screen.update(vec![report()], vec![String::new()], now());
        assert_eq!(screen.shown().unwrap().name, "cart");
    }

    #[test]
    fn a_small_terminal_does_not_break_the_view() {
        for (width, height) in [(1, 1), (20, 5), (40, 10)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &screen(&["cart", "users"]))).unwrap();
        }
    }
}
