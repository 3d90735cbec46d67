//! What an owner can rely on about its child, seen on real processes.

#![cfg(target_os = "linux")]

#[cfg(test)]
#[allow(dead_code, unreachable_pub)]
mod common;

use std::time::{Duration, Instant};

use common::{exists, pid, shell, wait_for_end};
use redoubt_supervise::{Exit, OwnChildren, RunState, Signal, Spawn, SpawnError};
use rustix::process::{getpgid, getpgrp};

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn the_end_is_told_to_everybody_who_asks_as_often_as_they_ask() {
    let (child, mut lines) = shell("echo ready; read never < /dev/zero; exit 7");
    assert_eq!(lines.next().await.as_deref(), Some("ready"));
    assert!(tokio::time::timeout(SHORT, child.wait()).await.is_err());
    assert_eq!(child.exit(), None);
    child.signal(Signal::TERM).unwrap();
    let (one, two) = tokio::join!(child.wait(), child.wait());
    assert_eq!((one, two, child.wait().await), (Exit::Signal(15), Exit::Signal(15), Exit::Signal(15)));
    assert_eq!(child.exit(), Some(Exit::Signal(15)));
    child.signal(Signal::TERM).unwrap();
    child.kill().unwrap();
    assert_eq!(child.vitals(), None);
}

#[tokio::test]
async fn the_end_is_seen_within_milliseconds() {
    let (child, _lines) = shell("exec sleep 1000");
    let killed = Instant::now();
    child.kill().unwrap();
    assert_eq!(child.wait().await, Exit::Signal(9));
    assert!(killed.elapsed() < Duration::from_millis(500), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn both_outputs_are_read_and_there_is_no_input() {
    let (child, mut lines) = shell("cat; echo out; echo err >&2; printf '\\377 last'");
    let mut read = Vec::new();
    while let Some(line) = lines.next().await {
        read.push(line);
    }
    assert_eq!(read, ["out", "err", "\u{fffd} last"]);
    assert!(child.wait().await.success());
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_ended_after_its_grace() {
    let (child, mut lines) = shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
    lines.next().await;
    assert_eq!(child.stop(SHORT).await, Exit::Signal(9));
}

#[tokio::test]
async fn a_child_that_obeys_sigterm_is_not_killed() {
    let (child, mut lines) = shell("trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done");
    lines.next().await;
    assert_eq!(child.stop(LONG).await, Exit::Code(4));
}

#[tokio::test]
async fn a_frozen_child_is_recognised_and_can_still_be_ended() {
    let (child, mut lines) = shell("echo ready; while :; do :; done");
    lines.next().await;
    child.signal(Signal::STOP).unwrap();
    while child.vitals().unwrap().state != RunState::Stopped {
        tokio::task::yield_now().await;
    }
    let frozen_at = child.vitals().unwrap().cpu_time;
    tokio::time::sleep(SHORT).await;
    assert_eq!(child.vitals().unwrap().cpu_time, frozen_at);
    assert_eq!(child.stop(SHORT).await, Exit::Signal(9));
}

#[tokio::test]
async fn a_busy_child_is_told_from_a_frozen_one() {
    let (child, mut lines) = shell("echo ready; while :; do :; done");
    lines.next().await;
    let before = child.vitals().unwrap().cpu_time;
    let since = Instant::now();
    while child.vitals().unwrap().cpu_time == before {
        assert!(since.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(child.vitals().unwrap().resident_bytes > 0);
}

#[tokio::test]
async fn no_zombie_is_left_by_waiting_or_by_dropping() {
    let (child, _lines) = shell("exit 0");
    child.wait().await;
    assert!(!exists(child.pid()));

    let (child, _lines) = shell("exec sleep 1000");
    let pid = child.pid();
    drop(child);
    assert!(!exists(pid));
}

#[tokio::test]
async fn what_a_dead_child_leaves_behind_is_ended() {
    let (child, mut lines) = shell("sleep 1000 & echo $!; exit 3");
    let left_behind = pid(&lines.next().await.unwrap());
    assert_eq!(child.wait().await, Exit::Code(3));
    wait_for_end(left_behind);
    assert_eq!(lines.next().await, None);
}

#[tokio::test]
async fn a_terminals_ctrl_c_does_not_reach_the_child() {
    let (child, _lines) = shell("exec sleep 1000");
    assert_eq!(getpgid(Some(child.pid())).unwrap(), child.pid());
    assert_ne!(getpgrp(), child.pid());
}

#[tokio::test]
async fn folder_and_environment_are_the_ones_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let spawn = Spawn::new("sh").args(["-c", "pwd; echo $GREETING"]).dir(dir.path()).env("GREETING", "hello");
    let child = spawn.spawn(&OwnChildren::default()).unwrap();
    let mut lines = child.lines().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    assert_eq!(lines.next().await.unwrap(), folder.to_str().unwrap());
    assert_eq!(lines.next().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_program_or_a_folder_that_is_missing_is_named() {
    let own = OwnChildren::default();
    let error = Spawn::new("/nonexistent/redis-server").spawn(&own).unwrap_err();
    assert!(matches!(error, SpawnError::Start { .. }));
    assert!(error.to_string().contains("cannot start /nonexistent/redis-server: No such file"), "{error}");
    let error = Spawn::new("true").dir("/nonexistent/data").spawn(&own).unwrap_err();
    assert!(error.to_string().contains("cannot start true in /nonexistent/data"), "{error}");
}

#[test]
fn a_child_ends_with_the_thread_that_started_it() {
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let child = Spawn::new("sleep").arg("1000").spawn(&OwnChildren::default()).unwrap();
        let pid = child.pid();
        // Its owner does not end it.
        std::mem::forget(child);
        pid
    };
    let pid = std::thread::spawn(start).join().unwrap();
    wait_for_end(pid);
}
