//! Whatever dies, the set is whole again, nothing acknowledged is lost, and the old master is a replica.

use std::{
    process::{Child, Stdio},
    thread,
};

use redis::Commands as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    bad_input::redis,
    lab::{Lab, gone, kill, wait_for},
};

fn cart() -> Lab {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    lab
}

/// Writes, kills, and reads back what was acknowledged once the set is whole.
#[track_caller]
fn survives(lab: &Lab, death: impl FnOnce()) {
    let master = lab.master("cart");
    let mut connection = lab.connect("cart", &master);
    // Every replica has it: what a death may cost is what replication had not delivered.
    for n in 0..100 {
        let _: () = connection.set(format!("key-{n}"), n).unwrap();
    }
    let copies: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut connection).unwrap();
    assert_eq!(copies, 2);
    death();
    lab.whole("cart");
    let mut connection = lab.connect("cart", &lab.master("cart"));
    for n in 0..100 {
        assert_eq!(connection.get::<_, Option<i64>>(format!("key-{n}")).unwrap(), Some(n));
    }
}

#[test]
fn a_killed_master_is_replaced_and_comes_back_as_replica() {
    let lab = cart();
    let old = lab.master("cart");
    let before = lab.server("cart", &old);
    survives(&lab, || {
        kill(before);
        lab.until("cart", "another node leads", |status| {
            status["master"].as_str().is_some_and(|master| master != old)
                && status["live"]["nodes"][&old]["role"] == "replica"
        });
    });
    assert_ne!(lab.server("cart", &old), before);
}

#[test]
fn a_killed_replica_comes_back_and_nobody_else_notices() {
    let lab = cart();
    let (master, replica) = (lab.master("cart"), lab.replicas("cart")[0].clone());
    let before = lab.servers("cart");
    survives(&lab, || {
        kill(before[&replica]);
        lab.until("cart", "it is started again", |status| {
            status["live"]["nodes"][&replica]["serverPid"]
                .as_i64()
                .is_some_and(|pid| pid != raw(before[&replica]))
        });
    });
    assert_eq!(lab.master("cart"), master);
    let after = lab.servers("cart");
    assert!(
        before.iter().all(|(member, pid)| *member == replica || after[member] == *pid),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_killed_sentinel_comes_back_with_its_id_and_leaves_no_ghost() {
    let lab = cart();
    let sentinel = lab.sentinels("cart")[0].clone();
    let id = |lab: &Lab| -> String {
        redis::cmd("SENTINEL").arg("MYID").query(&mut lab.connect("cart", &sentinel)).unwrap()
    };
    let (before, server) = (id(&lab), lab.server("cart", &sentinel));
    survives(&lab, || {
        kill(server);
        gone(server);
        lab.until("cart", "it is started again", |status| {
            status["live"]["sentinels"][&sentinel]["serverPid"].as_i64().is_some_and(|pid| pid != raw(server))
        });
    });
    assert_eq!(id(&lab), before);
    for other in &lab.sentinels("cart")[1..] {
        assert_eq!(super::scaling::known(&lab, "cart", other, "SENTINELS").len(), 2);
    }
}

#[test]
fn a_killed_agent_leaves_no_orphan_that_could_be_a_second_master() {
    let lab = cart();
    let old = lab.master("cart");
    let (agent, server) = (lab.agent("cart", &old), lab.server("cart", &old));
    survives(&lab, || {
        kill(agent);
        gone(server);
        lab.until("cart", "it is started again", |status| {
            status["live"]["nodes"][&old]["serverPid"].as_i64().is_some_and(|pid| pid != raw(server))
        });
    });
    assert_ne!(lab.agent("cart", &old), agent);
}

#[test]
fn killed_servers_all_at_once_come_back_with_everything() {
    // With `everysec` Redis itself may hold a write back for up to 2 s while an fsync runs.
    let lab = Lab::heavy();
    lab.up(&redis("cart", "  persistence: {aof: {fsync: always}}\n"));
    lab.whole("cart");
    let before = lab.servers("cart");
    survives(&lab, || {
        for pid in before.values() {
            kill(*pid);
        }
        lab.restarted("cart", &before);
    });
}

#[test]
fn a_killed_up_is_felt_by_nobody_and_the_next_one_adopts_what_runs() {
    let lab = Lab::heavy();
    lab.file("redis.yaml", &redis("cart", ""));
    let mut first = foreground(&lab);
    wait_for("the state folder", 20, || lab.state().join("resources/cart.yaml").exists());
    lab.whole("cart");
    let before = lab.servers("cart");
    survives(&lab, || {
        first.kill().unwrap();
        first.wait().unwrap();
    });
    let status = lab.status("cart");
    assert_eq!(status["engine"]["running"], false, "{status:#}");
    assert!(lab.run(["status", "cart"]).ok().out.contains("nobody watches it"));
    survives(&lab, || {
        let old = lab.master("cart");
        kill(lab.server("cart", &old));
        lab.until("cart", "another node leads without an engine", |status| {
            status["master"].as_str().is_some_and(|master| master != old)
        });
    });
    let killed = lab.servers("cart");
    let mut second = foreground(&lab);
    lab.until("cart", "somebody watches it", |status| status["engine"]["running"] == true);
    lab.whole("cart");
    assert_eq!(lab.servers("cart"), killed, "nothing was restarted by the second engine");
    assert_ne!(before, killed);
    end(&mut second);
    wait_for("everything is stopped", 60, || lab.processes() == 0);
}

#[test]
fn ctrl_c_leaves_nothing_running() {
    let lab = Lab::heavy();
    lab.file("redis.yaml", &redis("cart", ""));
    let mut up = foreground(&lab);
    wait_for("the state folder", 20, || lab.state().join("resources/cart.yaml").exists());
    lab.whole("cart");
    end(&mut up);
    assert_eq!(lab.processes(), 0);
    assert!(lab.run(["status", "cart"]).ok().out.contains("everything is stopped"));
}

/// `redoubt up` as somebody runs it without a terminal.
pub(crate) fn foreground(lab: &Lab) -> Child {
    lab.command(["up", "-f", "redis.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Ctrl-C, and the end that follows.
#[track_caller]
pub(crate) fn end(up: &mut Child) {
    kill_process(Pid::from_child(up), Signal::INT).unwrap();
    thread::scope(|_| assert!(up.wait().unwrap().success()));
}

fn raw(pid: Pid) -> i64 {
    i64::from(pid.as_raw_nonzero().get())
}
