//! An engine in the background: started, waited for until everything is ready, and left alone.

use std::{
    collections::BTreeSet, fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, process::Stdio, time::Duration,
};

use jiff::Timestamp;
use redoubt_api::{Condition, ConditionStatus, ConditionType};
use redoubt_local::{Local, LocalError, StatusWatch};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use super::Resolved;
use crate::{
    commands::resources::told,
    failure::{Code, Failure, Problem},
    place::machine,
    print,
    progress::Going,
    report::Report,
    runtime, say,
};

/// A set is ready within seconds; a machine that starts many at once may take longer.
const READY: Duration = Duration::from_mins(2);
/// How long a set that is not ready may be without progress before it is not waited for any longer.
const STUCK: Duration = Duration::from_secs(3);
/// Between two looks when nothing was published: an engine that ended publishes nothing.
const LOOK: Duration = Duration::from_millis(250);
/// Lines of the engine's log that are shown when it ended.
const LAST_WORDS: usize = 5;

/// Starts an engine unless one runs, and waits until everything is ready.
pub(super) async fn run(resolved: &Resolved) -> Result<(), Failure> {
    let local = Local::create(&resolved.place.state.state_dir)?;
    let mut names: BTreeSet<String> = BTreeSet::new();
    if let Some(batch) = &resolved.batch {
        let applied = local.apply(batch)?;
        told(&applied).lines().for_each(say::talk);
        names.extend(applied.into_iter().map(|(name, _)| name));
    } else {
        names.extend(local.store().names()?);
    }
    let mut engine = match local.engine()? {
        Some(process) => {
            say::talk(format_args!("an engine runs already (process {})", process.pid));
            None
        }
        None => Some(spawn(&local, resolved)?),
    };
    let going = Going::start("starting");
    let reports = tokio::select! {
        reports = ready(&local, resolved, &names, &mut engine, &going) => reports,
        () = runtime::asked_to_end() => {
            Err(Failure::new(Code::Interrupted, "not waited for; the engine goes on in the background")
                .hint("see `redoubt status`; `redoubt down` stops everything"))
        }
    };
    going.end();
    shown(&reports?)
}

/// The engine as a process of its own. It leaves our session by itself.
fn spawn(local: &Local, resolved: &Resolved) -> Result<Child, Failure> {
    let log = local.state_dir().engine_log();
    let failed = |error: std::io::Error| {
        Failure::new(Code::Failed, format_args!("the engine cannot be started: {error}"))
            .hint(format_args!("check that {} can be written", log.display()))
    };
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&log).map_err(failed)?;
    let errors = file.try_clone().map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("engine").arg("--state-dir").arg(local.state_dir().root());
    if resolved.place.single_address {
        command.arg("--single-address");
    }
    for file in &resolved.files {
        command.arg("--file").arg(file);
    }
    command.stdin(Stdio::null()).stdout(file).stderr(errors).kill_on_drop(false);
    command.spawn().map_err(failed)
}

/// Waits until all of these are ready, or it is clear that they will not be.
async fn ready(
    local: &Local,
    resolved: &Resolved,
    names: &BTreeSet<String>,
    engine: &mut Option<Child>,
    going: &Going,
) -> Result<Vec<Report>, Failure> {
    // Without it the engine is looked at less often, no more.
    let mut watch = local.watch().ok();
    let deadline = Instant::now() + READY;
    let mut last_progress = Instant::now();
    loop {
        match engine {
            Some(engine) => {
                if let Some(status) = engine.try_wait()? {
                    return Err(ended(local, &status.to_string()));
                }
            }
            // The one that ran already has ended since.
            None if local.engine()?.is_none() => *engine = Some(spawn(local, resolved)?),
            None => {}
        }
        let reports: Vec<Report> = machine::reports(local)
            .await?
            .into_iter()
            .filter(|report| names.contains(&report.name))
            .collect();
        let waited: Vec<&Report> = reports.iter().filter(|report| !is_seen_ready(report)).collect();
        let all_seen = reports.len() == names.len();
        if !all_seen || waited.iter().any(|report| !is_stuck(report)) {
            last_progress = Instant::now();
        }
        let done = waited.is_empty() && all_seen;
        if done || last_progress.elapsed() >= STUCK || Instant::now() >= deadline {
            return Ok(reports);
        }
        going.now(format!("waiting until ready: {}", names_of(&waited)));
        // Whichever comes first: a change, or the time to see whether the engine is still there.
        let _ = tokio::time::timeout(LOOK, changed(watch.as_mut())).await;
    }
}

async fn changed(watch: Option<&mut StatusWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

fn ended(local: &Local, how: &str) -> Failure {
    let log = local.state_dir().engine_log();
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_WORDS)..].iter().map(|line| print::log::line(line));
    let last_words = last.collect::<Vec<_>>().join("\n  ");
    LocalError::EngineEnded { how: how.to_owned(), last_words, log }.into()
}

/// How everything is; a failure when something is not ready.
fn shown(reports: &[Report]) -> Result<(), Failure> {
    match reports {
        [] => say::talk("the engine runs; nothing was applied yet"),
        [one] => say::data(&print::report::text(one, Timestamp::now(), false))?,
        several => say::data(&print::report::list(several))?,
    }
    let unready: Vec<&Report> = reports.iter().filter(|report| !is_seen_ready(report)).collect();
    if unready.is_empty() {
        say::talk("it runs in the background; `redoubt down` stops it");
        return Ok(());
    }
    Err(not_ready(&unready))
}

/// The file is at fault where that is what all of them say.
fn not_ready(unready: &[&Report]) -> Failure {
    let refused = unready.iter().filter(|report| why(report).is_some_and(print::report::is_refusal)).count();
    let code = if refused == unready.len() { Code::Fault } else { Code::NotHealthy };
    let problem = |report: &&Report| Problem {
        message: match why(report).map(|condition| &condition.message).or(report.contradicted.as_ref()) {
            Some(why) => format!("{} is not Ready: {why}", report.name),
            None => format!("{} is not Ready", report.name),
        },
        hint: None,
    };
    let mut failure = Failure { code, problems: unready.iter().map(problem).collect() };
    if let Some(last) = failure.problems.last_mut() {
        last.hint = Some("the engine goes on in the background; see `redoubt status NAME`".to_owned());
    }
    failure
}

fn why(report: &Report) -> Option<&Condition> {
    print::report::worst(&report.status.conditions)
}

/// The engine said so of what was applied, and what its members say now agrees: the status of an engine that was killed
/// may be from before a change, or before everything was stopped.
fn is_seen_ready(report: &Report) -> bool {
    report.engine.is_some_and(|engine| engine.running) && report.is_ready() && report.contradicted.is_none()
}

/// Nothing is under way that could make it ready.
fn is_stuck(report: &Report) -> bool {
    // An engine that says Ready while its members do not has yet to hear of it.
    if !report.is_current() || report.is_ready() {
        return false;
    }
    let progressing = |condition: &&Condition| condition.kind == ConditionType::Progressing;
    let found = report.status.conditions.iter().find(progressing);
    found.is_some_and(|condition| condition.status == ConditionStatus::False)
}

fn names_of(reports: &[&Report]) -> String {
    reports.iter().map(|report| report.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{print::report::tests::report, report::is_ready};

    /// As an engine that has nothing to do says it.
    fn said(ready: ConditionStatus, contradicted: Option<&str>) -> Report {
        let mut report = report();
        report.contradicted = contradicted.map(str::to_owned);
        let mut progressing = report.status.conditions[0].clone();
        (progressing.kind, progressing.status) = (ConditionType::Progressing, ConditionStatus::False);
        report.status.conditions[0].status = ready;
        report.status.conditions.push(progressing);
        assert_eq!(is_ready(&report.status), ready == ConditionStatus::True);
        report
    }

    #[test]
    fn members_that_do_not_say_ready_yet_are_waited_for_and_what_nothing_is_done_about_is_not() {
        let (well, behind) =
            (said(ConditionStatus::True, None), said(ConditionStatus::True, Some("cart-1 loads")));
        assert!(is_seen_ready(&well) && !is_seen_ready(&behind));
        assert!(!is_stuck(&behind) && is_stuck(&said(ConditionStatus::False, None)));
    }

    #[test]
    fn what_members_contradict_is_said() {
        let mut behind = said(ConditionStatus::True, Some("cart-1 loads"));
        behind.status.conditions.retain(|condition| condition.kind == ConditionType::Ready);
        let failure = not_ready(&[&behind]);
        assert_eq!(failure.problems[0].message, "cart is not Ready: cart-1 loads");
    }
}
