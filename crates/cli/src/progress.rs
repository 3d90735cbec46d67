//! Progress of what takes over a second: a spinner on a terminal, lines elsewhere.

use std::{borrow::Cow, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use redoubt_local::Progress;

use crate::say;

/// Between two pictures of the spinner.
const TURN: Duration = Duration::from_millis(100);

/// Something that goes on.
pub(crate) struct Going {
    bar: ProgressBar,
}

impl Going {
    /// Begins with this.
    pub(crate) fn start(message: impl Into<Cow<'static, str>>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::default_spinner());
        let going = Self { bar };
        going.bar.enable_steady_tick(TURN);
        going.now(message);
        going
    }

    /// What is being done; replaced by what is done next.
    pub(crate) fn now(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
    }

    /// Something is done: stays on the screen.
    pub(crate) fn done_with(&self, message: &str) {
        self.bar.suspend(|| say::talk(message));
    }

    /// Nothing of it stays on the screen.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// Members that are being stopped.
pub(crate) struct Stopping {
    going: Going,
}

impl Stopping {
    pub(crate) fn start() -> Self {
        Self { going: Going::start("stopping") }
    }

    /// What is told as it happens.
    pub(crate) fn callback(&self) -> impl Fn(Progress<'_>) + Send + Sync + '_ {
        move |progress| match progress {
            Progress::EngineStops { pid } => self.going.now(format!("stopping the engine (process {pid})")),
            Progress::EngineStopped => self.going.done_with("stopped the engine"),
            Progress::MemberStops { member, .. } => self.going.now(format!("stopping {member}")),
            Progress::MemberStopped { member, .. } => self.going.done_with(&format!("stopped {member}")),
        }
    }

    pub(crate) fn done(self) {
        self.going.end();
    }
}
