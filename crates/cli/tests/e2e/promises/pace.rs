//! How fast it starts, and how little it does at rest.

use std::{fs, thread, time::Duration};

use rustix::process::Pid;

use crate::{bad_input::redis, lab::Lab};

/// From nothing to Ready, three nodes and three Sentinels.
const START: Duration = Duration::from_secs(3);
/// A look of this length sees the engine's safety timers too.
const REST: Duration = Duration::from_secs(20);
/// `USER_HZ`: what `/proc` counts in, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Share of a core that an engine at rest may take.
const AT_REST: f64 = 0.005;

#[test]
fn a_set_is_ready_within_three_seconds() {
    let lab = Lab::alone();
    lab.file("redis.yaml", &redis("cart", ""));
    let best = (0..3).map(|_| {
        let since = std::time::Instant::now();
        lab.run(["up", "-f", "redis.yaml", "--detach"]).ok();
        let took = since.elapsed();
        lab.run(["down"]).ok();
        fs::remove_dir_all(lab.state()).unwrap();
        took
    });
    let best = best.min().unwrap();
    assert!(best <= START, "{best:?}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "rest is measured by letting time pass")]
fn an_engine_at_rest_does_next_to_nothing_and_writes_nothing_to_redis() {
    let lab = Lab::alone();
    lab.up(&redis("cart", ""));
    let status = lab.whole("cart");
    let engine = Pid::from_raw(i32::try_from(status["engine"]["pid"].as_i64().unwrap()).unwrap()).unwrap();
    thread::sleep(Duration::from_secs(3));
    let (cpu, writes) = (cpu_seconds(engine), write_commands(&lab));
    thread::sleep(REST);
    let share = (cpu_seconds(engine) - cpu) / REST.as_secs_f64();
    assert!(share < AT_REST, "the engine takes {:.2} % of a core", share * 100.0);
    assert_eq!(write_commands(&lab), writes, "nobody writes to Redis at rest");
}

/// User and system time of a process.
fn cpu_seconds(pid: Pid) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / TICKS_PER_SECOND
}

/// Calls of commands that change data or configuration, at all nodes.
fn write_commands(lab: &Lab) -> Vec<String> {
    const WRITES: [&str; 6] = ["set", "del", "config|set", "config|rewrite", "replicaof", "slaveof"];
    let calls = |node: &String| {
        let info: String =
            redis::cmd("INFO").arg("commandstats").query(&mut lab.connect("cart", node)).unwrap();
        let of = |name: &str| {
            let prefix = format!("cmdstat_{name}:");
            info.lines()
                .find(|line| line.starts_with(&prefix))
                .and_then(|line| line.split(',').next())
                .map(str::to_owned)
        };
        format!("{node}: {:?}", WRITES.map(of))
    };
    lab.nodes("cart").iter().map(calls).collect()
}
