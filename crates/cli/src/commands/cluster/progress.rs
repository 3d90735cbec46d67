//! Slots on their way: a bar with rate and time left on a terminal.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use redoubt_slots::{Event, Stop};
use tokio::sync::watch;

use crate::{runtime, say};

pub(super) struct Bar {
    bar: ProgressBar,
    keys: AtomicU64,
}

impl Bar {
    pub(super) fn start() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} slots, {per_sec}, {eta} left, {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, keys: AtomicU64::new(0) }
    }

    pub(super) fn told(&self, event: Event) {
        match event {
            Event::Total { slots, .. } => self.bar.inc_length(slots),
            Event::Slot { .. } => self.bar.inc(1),
            Event::Keys { keys, .. } => {
                let keys = self.keys.fetch_add(keys, Ordering::Relaxed) + keys;
                self.bar.set_message(format!("{keys} keys"));
            }
            Event::BigKey { slot, key, bytes } => self.bar.suspend(|| {
                say::warn(format_args!(
                    "{key:?} in slot {slot} has {bytes} bytes: it pauses its servers while it moves"
                ));
            }),
            Event::FallsBack { why } => self.bar.suspend(|| {
                say::warn(format_args!("{why}; the rest of these slots goes by MIGRATE"));
            }),
        }
    }

    /// Nothing of it stays; how many keys were moved.
    pub(super) fn end(&self) -> u64 {
        self.bar.finish_and_clear();
        self.keys.load(Ordering::Relaxed)
    }
}

/// Stops the mover when this process is asked to end; what is open is finished first.
pub(super) fn stop_when_asked() -> Stop {
    let (ask, asked) = watch::channel(false);
    let _watching = tokio::spawn(async move {
        runtime::asked_to_end().await;
        say::talk("finishing what is open");
        // Nobody listens any more once all is moved.
        ask.send(true).ok();
    });
    Stop::new(asked)
}
