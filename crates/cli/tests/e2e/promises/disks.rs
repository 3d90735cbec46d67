//! Disks that fail: a data folder that is gone, and one that is full.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bad_input::redis,
    lab::{Lab, Sight, Writer, gone, kill, wait_for},
};

/// `downAfter`: what Sentinel alone would take at the very least.
const BY_SENTINEL: Duration = Duration::from_secs(5);

fn data(lab: &Lab, node: &str) -> PathBuf {
    lab.state().join("redis/cart/nodes").join(node).join("data")
}

fn cart() -> (Lab, Sight) {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    let sight = lab.sight("cart");
    (lab, sight)
}

/// Writes this many keys that every replica confirms.
#[track_caller]
fn write(sight: &Sight, master: &str, name: &str, keys: u32) {
    let mut master = sight.connect(master).unwrap();
    for n in 0..keys {
        redis::cmd("SET").arg(format!("{name}-{n}")).arg(n).exec(&mut master).unwrap();
    }
    let copies: i64 = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut master).unwrap();
    assert_eq!(copies, 2);
}

#[track_caller]
fn everybody_has(sight: &Sight, keys: u64) {
    for node in sight.nodes.keys() {
        wait_for(&format!("{node} has {keys} keys"), 60, || {
            let mut connection = sight.connect(node).unwrap();
            redis::cmd("DBSIZE").query::<u64>(&mut connection).unwrap() == keys
        });
    }
}

#[test]
fn a_data_folder_that_vanishes_under_a_running_server_costs_nothing() {
    let (lab, sight) = cart();
    write(&sight, &lab.master("cart"), "key", 100);
    for (round, victim) in [lab.replicas("cart")[0].clone(), lab.master("cart")].into_iter().enumerate() {
        fs::remove_dir_all(data(&lab, &victim)).unwrap();
        write(&sight, &lab.master("cart"), &format!("later-{round}"), 100);
        // It comes back with nothing, and copies what the others have.
        let server = sight.server(&victim).unwrap();
        kill(server);
        gone(server);
        lab.until("cart", "it is started again", |status| {
            status["live"]["nodes"][&victim]["serverPid"]
                .as_i64()
                .is_some_and(|pid| pid != i64::from(server.as_raw_nonzero().get()))
        });
        lab.whole("cart");
        everybody_has(&sight, 200 + 100 * round as u64);
    }
}

#[test]
fn a_data_folder_that_vanishes_while_all_are_down_is_filled_from_the_others() {
    let (lab, sight) = cart();
    for round in 0..2_u64 {
        let victim = if round == 0 { lab.replicas("cart")[0].clone() } else { lab.master("cart") };
        write(&sight, &lab.master("cart"), &format!("key-{round}"), 100);
        lab.run(["down"]).ok();
        fs::remove_dir_all(data(&lab, &victim)).unwrap();
        lab.run(["up", "--detach"]).ok();
        lab.whole("cart");
        everybody_has(&sight, 100 * (round + 1));
    }
}

/// A small file system for one node, full when asked.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// In place of this folder, with what is in it.
    #[track_caller]
    fn under(at: PathBuf) -> Self {
        let before = at.with_extension("before");
        fs::rename(&at, &before).unwrap();
        fs::create_dir(&at).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m,mode=0700", "redoubt-test"]).arg(&at));
        let disk = Self { at };
        run(Command::new("cp").arg("-a").arg(before.join(".")).arg(&disk.at));
        disk
    }

    /// Not one byte more.
    fn fill(&self) {
        let filled = Command::new("dd")
            .args(["if=/dev/zero", "bs=4k", &format!("of={}", self.at.join("ballast").display())])
            .output();
        assert!(!filled.unwrap().status.success(), "the disk is not full");
    }

    fn make_room(&self) {
        fs::remove_file(self.at.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Fills the disk of the master, or of a replica, while a client writes.
fn a_full_disk(of_master: bool) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: no small file system on this system: to mount one takes root");
        return;
    }
    let (lab, sight) = cart();
    let master = lab.master("cart");
    let victim = if of_master { master.clone() } else { lab.replicas("cart")[0].clone() };
    lab.run(["down"]).ok();
    let disk = SmallDisk::under(data(&lab, &victim));
    lab.run(["up", "--detach"]).ok();
    lab.whole("cart");
    let sentinels: Vec<String> = sight.sentinels.keys().cloned().collect();
    let writer = Writer::asking(&sight, &sentinels);
    writer.more(50);
    disk.fill();
    let full = Instant::now();
    if of_master {
        // Nobody is dead: it hands over, with all it acknowledged, long before Sentinel would miss its PONG.
        lab.until("cart", "another leads", |status| {
            status["lastFailover"]["cause"] == "disk" && status["master"] != victim.as_str()
        });
    }
    lab.until("cart", "the status tells of the disk", |status| {
        // A replica's server ends when it cannot write; its agent cannot write a configuration for the next one.
        let degraded = condition(status, "Degraded")["message"].to_string();
        degraded.contains(&victim)
            && ["cannot be written", "No space left"].iter().any(|why| degraded.contains(why))
    });
    eprintln!("told after {:?}", full.elapsed());
    // Somebody whose disk has room takes writes.
    writer.more(200);
    disk.make_room();
    let room = Instant::now();
    lab.whole("cart");
    writer.more(50);
    let account = writer.finish();
    eprintln!(
        "of_master {of_master}: gap {:?}, whole {:?} after there was room",
        account.gap(),
        room.elapsed()
    );
    let mut now = sight.connect(&lab.master("cart")).unwrap();
    assert_eq!(account.lost(Instant::now(), &mut now), 0);
    assert!(account.gap() < BY_SENTINEL, "writes stood still for {:?}", account.gap());
}

#[track_caller]
fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let all = status["conditions"].as_array().unwrap();
    all.iter().find(|one| one["type"] == kind).expect("a condition of this type")
}

#[test]
fn a_replica_whose_disk_is_full_is_named_and_recovers() {
    a_full_disk(false);
}

#[test]
fn a_master_whose_disk_is_full_is_named_and_recovers() {
    a_full_disk(true);
}
