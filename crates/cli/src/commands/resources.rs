//! `redoubt apply`, `delete` and `down`.

use std::fmt::Write as _;

use redoubt_local::{Applied, Local};

use crate::{
    args::{ApplyArgs, DownArgs, NamedArgs},
    failure::Failure,
    input,
    progress::Stopping,
    runtime, say,
};

/// Hands files to what runs.
pub(crate) fn apply(args: &ApplyArgs) -> Result<(), Failure> {
    let batch = input::accepted(&args.input.files)?;
    let local = Local::create(&args.state.state_dir)?;
    let applied = local.apply(&batch)?;
    say::data(&told(&applied))?;
    if local.engine()?.is_none() {
        say::hint("no engine runs, so nothing happens yet; start one with `redoubt up`");
    }
    Ok(())
}

/// One line for each resource.
pub(crate) fn told(applied: &[(String, Applied)]) -> String {
    applied.iter().fold(String::new(), |mut text, (name, applied)| {
        let _ = writeln!(text, "{name} {}", word(*applied));
        text
    })
}

/// As `kubectl apply` says it.
pub(crate) fn word(applied: Applied) -> &'static str {
    match applied {
        Applied::Created => "created",
        Applied::Configured => "configured",
        Applied::Unchanged => "unchanged",
    }
}

/// Deletes one Redis.
pub(crate) fn delete(args: &NamedArgs) -> Result<(), Failure> {
    let local = Local::open(&args.state.state_dir)?;
    let stopping = Stopping::start();
    let deleted = runtime::small(async { Ok(local.delete(&args.name, &stopping.callback()).await?) })?;
    stopping.done();
    say::data(&format!("{} deleted\n", args.name))?;
    if let Some(data) = deleted.data {
        say::talk(format_args!("its data stays in {}", data.display()));
    }
    Ok(())
}

/// Stops everything.
pub(crate) fn down(args: &DownArgs) -> Result<(), Failure> {
    let local = Local::open(&args.state.state_dir)?;
    let stopping = Stopping::start();
    runtime::small(async { Ok(local.down(&stopping.callback()).await?) })?;
    stopping.done();
    say::talk(format_args!(
        "everything is stopped; the data stays in {}",
        local.state_dir().root().display()
    ));
    Ok(())
}
