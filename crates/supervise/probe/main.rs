//! Acts as an agent for the tests in `tests/`: `redoubt-supervise-probe <scene> [argument…]`. It says on standard
//! output what it sees, one line each.

use std::{error::Error, io::Write as _, path::PathBuf, time::Duration};

use redoubt_supervise::{
    Child, Heirloom, Lines, OwnChildren, RunState, Signals, Spawn, become_subreaper, exec_successor,
    reap_strangers,
};

/// Carries the heirloom to the successor.
const HEIRLOOM: &str = "PROBE_HEIRLOOM";

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let mut args = std::env::args().skip(1);
    let scene = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    match scene.as_str() {
        "keep" => keep(&args).await,
        "succeed" => succeed(&args, "successor").await,
        "succeed-slowly" => succeed(&args, "slow-successor").await,
        "succeed-late" => succeed_late(&args).await,
        "fail-to-succeed" => fail_to_succeed(&args).await,
        "successor" => successor().await,
        "slow-successor" => slow_successor().await,
        "reap" => reap(&args).await,
        other => Err(format!("no scene {other:?}").into()),
    }
}

fn say(line: &str) -> Outcome {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Waits until the test says to go on.
fn told() -> Outcome {
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn start(args: &[String], own: &OwnChildren) -> Result<(Child, Lines), Box<dyn Error>> {
    let (program, args) = args.split_first().ok_or("no program")?;
    let child = Spawn::new(program).args(args).spawn(own)?;
    let lines = child.lines()?;
    say(&format!("child {}", child.pid().as_raw_pid()))?;
    Ok((child, lines))
}

async fn watch(child: &Child, mut lines: Lines) -> Outcome {
    while let Some(line) = lines.next().await {
        say(&format!("line {line}"))?;
    }
    say(&format!("end {}", child.wait().await))
}

async fn keep(args: &[String]) -> Outcome {
    let (child, lines) = start(args, &OwnChildren::default())?;
    watch(&child, lines).await
}

/// Reads as far as there is something, so that the beginning of a line has to travel along; then goes.
async fn succeed(args: &[String], scene: &str) -> Outcome {
    let _signals = Signals::new()?;
    let (child, mut lines) = start(args, &OwnChildren::default())?;
    while let Ok(Some(line)) = tokio::time::timeout(Duration::from_millis(100), lines.next()).await {
        say(&format!("line {line}"))?;
    }
    go(child, lines, scene)
}

/// Goes only when the child has ended and nobody has noticed.
async fn succeed_late(args: &[String]) -> Outcome {
    let (child, lines) = start(args, &OwnChildren::default())?;
    while child.vitals().is_some_and(|vitals| vitals.state != RunState::Ended) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    go(child, lines, "successor")
}

fn go(child: Child, lines: Lines, scene: &str) -> Outcome {
    let heirloom = serde_json::to_string(&child.into_heirloom(Some(lines))?)?;
    let failed = exec_successor(&std::env::current_exe()?, &[scene], &[(HEIRLOOM, &heirloom)]);
    Err(failed.into())
}

async fn fail_to_succeed(args: &[String]) -> Outcome {
    let own = OwnChildren::default();
    let (child, lines) = start(args, &own)?;
    let heirloom = child.into_heirloom(Some(lines))?;
    let nowhere = PathBuf::from("/nonexistent/redoubt");
    say(&format!("failed {}", exec_successor::<&str>(&nowhere, &[], &[])))?;
    let (child, lines) = Child::adopt(heirloom, &own)?;
    say(&format!("adopted {}", child.pid().as_raw_pid()))?;
    watch(&child, lines).await
}

fn adopt() -> Result<(Child, Lines), Box<dyn Error>> {
    let heirloom: Heirloom = serde_json::from_str(&std::env::var(HEIRLOOM)?)?;
    let (child, lines) = Child::adopt(heirloom, &OwnChildren::default())?;
    say(&format!("adopted {}", child.pid().as_raw_pid()))?;
    Ok((child, lines))
}

async fn successor() -> Outcome {
    let (child, lines) = adopt()?;
    watch(&child, lines).await
}

/// Listens to signals only when told to.
async fn slow_successor() -> Outcome {
    let (_child, _lines) = adopt()?;
    told()?;
    let signal = Signals::new()?.next().await;
    say(&format!("signal {signal:?}"))
}

/// Leaves an own child unattended while a stranger is reaped, and waits for one of the library's.
async fn reap(args: &[String]) -> Outcome {
    become_subreaper()?;
    let own = OwnChildren::default();
    let reaper = tokio::spawn(reap_strangers(own.clone()));
    let mut library = tokio::process::Command::new("sh").args(["-c", "sleep 0.1; exit 6"]).spawn()?;
    let library = tokio::spawn(async move { library.wait().await });

    let (parent, lines) = start(args, &own)?;
    watch(&parent, lines).await?;
    let unattended = Spawn::new("sh").args(["-c", "exit 4"]).spawn(&own)?;
    say(&format!("unattended {}", unattended.pid().as_raw_pid()))?;

    tokio::task::spawn_blocking(|| told().map_err(|error| error.to_string())).await??;
    say(&format!("end {}", unattended.wait().await))?;
    say(&format!("library {:?}", library.await??.code()))?;
    reaper.abort();
    Ok(())
}
