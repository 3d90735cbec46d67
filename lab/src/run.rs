//! Other programs, run to their end.

use std::{ffi::OsStr, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{io::AsyncWriteExt as _, process::Command, time::Instant};

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// What the program wrote to its output; an error with what it wrote to stderr if it failed.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    output_with(command, "").await
}

/// The same for a program that reads its input.
pub(crate) async fn output_with(command: &mut Command, input: &str) -> Result<String> {
    let line = describe(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot run {line}"))?;
    let mut stdin = child.stdin.take().context("a child has no input")?;
    let writing = async move { stdin.write_all(input.as_bytes()).await };
    let (written, ended) = tokio::join!(writing, child.wait_with_output());
    let ended = ended.with_context(|| format!("cannot wait for {line}"))?;
    let text = succeeded(&line, ended)?;
    written.with_context(|| format!("{line} does not read its input"))?;
    Ok(text)
}

/// The same for a program that reads a file as its input.
pub(crate) async fn output_from(command: &mut Command, input: std::fs::File) -> Result<String> {
    let line = describe(command);
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let done = command.output().await.with_context(|| format!("cannot run {line}"))?;
    succeeded(&line, done)
}

fn succeeded(line: &str, done: std::process::Output) -> Result<String> {
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        bail!("{line} failed ({}): {}", done.status, said.trim());
    }
    String::from_utf8(done.stdout).with_context(|| format!("{line} writes no text"))
}

/// Runs it with this program's own output, for a build that a person watches.
pub(crate) async fn watched(command: &mut Command) -> Result<()> {
    let line = describe(command);
    command.stdin(Stdio::null()).stdout(std::io::stderr()).kill_on_drop(true);
    let status = command.status().await.with_context(|| format!("cannot run {line}"))?;
    if !status.success() {
        bail!("{line} failed ({status})");
    }
    Ok(())
}

fn describe(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    line.join(" ")
}

/// Waits until `look` finds it, and fails with what it last missed after the limit.
pub(crate) async fn wait_for<T>(what: &str, limit: Duration, look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > deadline => {
                return Err(error).with_context(|| format!("waited {} s for {what}", limit.as_secs()));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}
