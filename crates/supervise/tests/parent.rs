//! What becomes of a child when its parent dies or becomes another program, and of strangers.

#![cfg(target_os = "linux")]

#[cfg(test)]
#[allow(dead_code, unreachable_pub)]
mod common;

use common::{Probe, exists, fifo, pid, wait_for_end, wait_until_reaped};
use redoubt_supervise::Signal;

/// Says "before", begins a line, and ends it when somebody opens the fifo.
fn talkative(fifo: &std::path::Path) -> String {
    format!("echo before; printf un; read line < {}; echo finished; exit 7", fifo.display())
}

#[test]
fn a_killed_parent_leaves_no_child_behind() {
    let mut probe = Probe::start("keep", &["sleep", "1000"]);
    let child = probe.hear_pid("child");
    probe.signal(Signal::KILL);
    wait_for_end(child);
}

#[test]
fn a_successor_has_the_child_its_output_and_its_end() {
    let (_dir, fifo) = fifo();
    let mut probe = Probe::start("succeed", &["sh", "-c", &talkative(&fifo)]);
    let child = probe.hear_pid("child");
    assert_eq!(probe.hear("line"), "before");
    assert_eq!(probe.hear_pid("adopted"), child);
    std::fs::write(&fifo, "go on\n").unwrap();
    assert_eq!(probe.hear("line"), "unfinished");
    assert_eq!(probe.hear("end"), "exit code 7");
    assert!(!exists(child));
}

#[test]
fn a_killed_successor_leaves_no_child_behind() {
    let mut probe = Probe::start("succeed", &["sleep", "1000"]);
    let child = probe.hear_pid("child");
    probe.hear_pid("adopted");
    assert!(exists(child));
    probe.signal(Signal::KILL);
    wait_for_end(child);
}

#[test]
fn an_end_between_two_programs_is_seen() {
    let mut probe = Probe::start("succeed-late", &["sh", "-c", "echo last words; exit 3"]);
    let child = probe.hear_pid("child");
    assert_eq!(probe.hear_pid("adopted"), child);
    assert_eq!(probe.hear("line"), "last words");
    assert_eq!(probe.hear("end"), "exit code 3");
}

#[test]
fn a_sigterm_between_two_programs_reaches_the_successor() {
    let mut probe = Probe::start("succeed-slowly", &["sleep", "1000"]);
    probe.hear_pid("child");
    probe.hear_pid("adopted");
    probe.signal(Signal::TERM);
    probe.tell();
    assert_eq!(probe.hear("signal"), "Terminate");
}

#[test]
fn a_successor_that_cannot_be_executed_costs_nothing() {
    let mut probe = Probe::start("fail-to-succeed", &["sh", "-c", "echo still here; exit 5"]);
    let child = probe.hear_pid("child");
    let why = probe.hear("failed");
    assert!(why.contains("cannot exec /nonexistent/redoubt: No such file"), "{why}");
    assert_eq!(probe.hear_pid("adopted"), child);
    assert_eq!(probe.hear("line"), "still here");
    assert_eq!(probe.hear("end"), "exit code 5");
}

#[test]
fn orphans_are_reaped_and_children_with_an_owner_are_not() {
    let mut probe =
        Probe::start("reap", &["sh", "-c", "setsid sh -c 'echo $$; exec sleep 0.3 >/dev/null' & exit 3"]);
    probe.hear_pid("child");
    let orphan = pid(&probe.hear("line"));
    assert_eq!(probe.hear("end"), "exit code 3");
    let unattended = probe.hear_pid("unattended");
    wait_until_reaped(orphan);
    wait_for_end(unattended);
    assert!(exists(unattended), "a child's end was taken from its owner");
    probe.tell();
    assert_eq!(probe.hear("end"), "exit code 4");
    assert_eq!(probe.hear("library"), "Some(6)");
    assert!(!exists(unattended));
}
