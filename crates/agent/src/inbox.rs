//! Everything that can reach the main loop from outside, in one place.

use redoubt_supervise::Signals;
use tokio::{signal::unix::Signal, sync::mpsc};

use crate::{hearing::Hearing, http::Command, settings::SettingsWatch};

/// Something from outside.
#[derive(Debug)]
pub(crate) enum Event {
    /// The process is asked to end.
    Terminate,
    /// The process is to become its successor.
    Succeed,
    /// Somebody asks over HTTP.
    Command(Command),
    /// Configuration or secrets changed.
    Settings,
    /// The Sentinels said something new.
    Sentinels,
}

/// The sources of [`Event`]s.
pub(crate) struct Inbox {
    pub(crate) signals: Signals,
    pub(crate) succession: Signal,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) settings: SettingsWatch,
    pub(crate) hearing: Hearing,
}

impl Inbox {
    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            biased;
            signal = self.signals.next() => {
                tracing::info!(?signal, "asked to end");
                Event::Terminate
            }
            Some(()) = self.succession.recv() => Event::Succeed,
            () = self.hearing.changed() => Event::Sentinels,
            Some(command) = self.commands.recv() => Event::Command(command),
            () = self.settings.changed() => Event::Settings,
        }
    }
}
