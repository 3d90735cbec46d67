//! `redoubt logs`.

use std::io::{self, IsTerminal as _};

use crate::{
    args::{DataForm, LogsArgs},
    failure::Failure,
    place::Place,
    print, runtime, say,
};

/// Shows the log of one node or Sentinel.
pub(crate) fn run(args: &LogsArgs) -> Result<(), Failure> {
    let fitting = if io::stdout().is_terminal() { DataForm::Text } else { DataForm::Json };
    let form = args.output.unwrap_or(fitting);
    let mut show = |line: &str| match form {
        DataForm::Json => say::data(&format!("{line}\n")),
        DataForm::Text => say::data(&format!("{}\n", print::log::line(line))),
    };
    runtime::small(async { Place::open(&args.place).await?.log(&args.node, args.follow, &mut show).await })
}
