//! Talk to people: standard error, colours only on a terminal. Data goes to standard output.

use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Writes data.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Says something that is no data.
pub(crate) fn talk(text: impl std::fmt::Display) {
    labelled(Style::new(), "", &text);
}

/// Says what deserves a second look.
pub(crate) fn warn(text: impl std::fmt::Display) {
    labelled(WARNING, "warning: ", &text);
}

/// Says what to do next.
pub(crate) fn hint(text: impl std::fmt::Display) {
    labelled(HINT, "hint: ", &text);
}

/// Says why a command failed.
pub(crate) fn failure(failure: &Failure) {
    for problem in &failure.problems {
        labelled(ERROR, "error: ", &problem.message);
        if let Some(next) = &problem.hint {
            hint(next);
        }
    }
}

/// Nobody can be told that standard error is gone.
fn labelled(style: Style, label: &str, text: &dyn std::fmt::Display) {
    let _ = writeln!(anstream::stderr().lock(), "{style}{label}{style:#}{text}");
}
