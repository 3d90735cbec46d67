//! Everything that can reach the main loop from outside, in one place.

use redoubt_election::{Watch, WatchEvent};
use redoubt_supervise::Signals;
use tokio::{signal::unix::Signal, sync::mpsc};

use crate::{http::Command, settings::SettingsWatch};

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
    /// News from a Sentinel.
    Sentinel(WatchEvent),
}

/// The sources of [`Event`]s.
pub(crate) struct Inbox {
    pub(crate) signals: Signals,
    pub(crate) succession: Signal,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) settings: SettingsWatch,
    /// Nothing to listen to in a set without Sentinels.
    pub(crate) sentinels: Option<(Watch, mpsc::Receiver<WatchEvent>)>,
}

impl Inbox {
    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Event {
        let heard = async {
            match &mut self.sentinels {
                Some((_watch, heard)) => heard.recv().await,
                None => None,
            }
        };
        tokio::select! {
            biased;
            signal = self.signals.next() => {
                tracing::info!(?signal, "asked to end");
                Event::Terminate
            }
            Some(()) = self.succession.recv() => Event::Succeed,
            Some(heard) = heard => Event::Sentinel(heard),
            Some(command) = self.commands.recv() => Event::Command(command),
            () = self.settings.changed() => Event::Settings,
        }
    }
}
