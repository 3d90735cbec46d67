//! Holds the terminal while the live view is shown, and gives it back however the view ends.

use std::{future::Future, io, time::Duration};

use jiff::Timestamp;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};
use tokio::{sync::mpsc, time::interval};

use super::{Screen, draw::draw};
use crate::report::Report;

/// Between two looks at the agents: what people can follow.
const REFRESH: Duration = Duration::from_millis(500);
/// How long the keyboard is waited for before looking whether the view is still wanted.
const KEYBOARD: Duration = Duration::from_millis(200);
/// Keys that wait to be looked at.
const KEYS: usize = 16;

/// What the view shows comes from here.
pub(crate) trait Feed {
    /// The resources now, and a line to paste for each. Figures are wanted of the one that is shown.
    fn reports(&self, shown: Option<&str>) -> impl Future<Output = (Vec<Report>, Vec<String>)> + Send;

    /// Resolves when one of them changed since the call.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// Shows the view until somebody ends it.
pub(crate) async fn run(
    feed: &impl Feed,
    messages: &mut mpsc::Receiver<String>,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, feed, messages, ended).await;
    ratatui::restore();
    outcome
}

async fn show(
    terminal: &mut DefaultTerminal,
    feed: &impl Feed,
    messages: &mut mpsc::Receiver<String>,
    ended: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut screen = Screen::new(Timestamp::now());
    let mut keys = keyboard();
    let mut ticks = interval(REFRESH);
    tokio::pin!(ended);
    loop {
        let mut look = false;
        tokio::select! {
            _ = ticks.tick() => look = true,
            () = feed.changed() => look = true,
            key = keys.recv() => match key {
                Some(Key::End) | None => return Ok(()),
                Some(Key::Turn(by)) => {
                    screen.turn(by);
                    look = true;
                }
                Some(Key::Redraw) => {}
            },
            message = messages.recv() => match message {
                Some(message) => screen.tell(message),
                None => return Ok(()),
            },
            () = &mut ended => return Ok(()),
        }
        if look {
            let (reports, paste) = feed.reports(screen.shown().map(|report| report.name.as_str())).await;
            screen.update(reports, paste, Timestamp::now());
        }
        terminal.draw(|frame| draw(frame, &screen))?;
    }
}

enum Key {
    End,
    Turn(isize),
    Redraw,
}

/// Reads keys on a thread of its own, which ends soon after the receiver is dropped.
fn keyboard() -> mpsc::Receiver<Key> {
    let (sender, receiver) = mpsc::channel(KEYS);
    tokio::task::spawn_blocking(move || {
        while !sender.is_closed() {
            let key = match event::poll(KEYBOARD) {
                Ok(false) => continue,
                Ok(true) => event::read().ok().and_then(|event| meaning(&event)),
                Err(_) => return,
            };
            if let Some(key) = key
                && sender.blocking_send(key).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn meaning(event: &Event) -> Option<Key> {
    let key = match event {
        Event::Key(key) if key.kind == KeyEventKind::Press => key,
        Event::Resize(..) => return Some(Key::Redraw),
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::End),
        KeyCode::Char('q') => Some(Key::End),
        KeyCode::Tab | KeyCode::Down | KeyCode::Char('j') => Some(Key::Turn(1)),
        KeyCode::BackTab | KeyCode::Up | KeyCode::Char('k') => Some(Key::Turn(-1)),
        _ => None,
    }
}
