//! Disks that are slow, and disks that stand still.

use std::time::{Duration, Instant};

use crate::{
    bad_input::redis,
    lab::{Lab, Sight, Writer, kill},
};

/// Long enough to be felt, and far from `hangLimit`, 3 s.
const SLOW: Duration = Duration::from_millis(400);
/// Longer than any test.
const STANDS_STILL: Duration = Duration::from_mins(10);

fn cart(fsync: &str) -> (Lab, Sight, Writer) {
    let lab = Lab::slow_disks();
    lab.up(&redis("cart", &format!("  persistence: {{aof: {{fsync: {fsync}}}}}\n")));
    lab.whole("cart");
    let sight = lab.sight("cart");
    let sentinels: Vec<String> = sight.sentinels.keys().cloned().collect();
    let writer = Writer::asking(&sight, &sentinels);
    writer.more(50);
    (lab, sight, writer)
}

fn lost(lab: &Lab, sight: &Sight, writer: Writer) -> (usize, Duration) {
    let account = writer.finish();
    let mut now = sight.connect(&lab.master("cart")).unwrap();
    (account.lost(Instant::now(), &mut now), account.gap())
}

/// Slow is no reason for anything but patience, and no obstacle to a failover.
#[test]
fn a_master_with_a_slow_disk_goes_on_and_is_replaced_when_it_dies() {
    let (lab, sight, writer) = cart("everysec");
    let master = lab.master("cart");
    for node in lab.nodes("cart") {
        lab.slow_disk("cart", &node, SLOW);
    }
    writer.more(1000);
    assert_eq!(lab.status("cart")["lastFailover"], serde_json::Value::Null);
    assert_eq!(lab.master("cart"), master);
    kill(lab.server("cart", &master));
    writer.more(200);
    let status = lab.whole("cart");
    assert_ne!(status["master"], master.as_str());
    let (lost, gap) = lost(&lab, &sight, writer);
    eprintln!("slow: gap {gap:?}");
    assert!(lost <= 1, "{lost} lost: more than what was on its way when the server was killed");
}

/// With `always` each write waits for the disk. A slow one makes the set slow, and changes nothing else.
#[test]
fn writes_that_wait_for_a_slow_disk_are_acknowledged_one_by_one() {
    let (lab, sight, writer) = cart("always");
    let master = lab.master("cart");
    lab.slow_disk("cart", &master, SLOW);
    writer.more(20);
    assert_eq!(lab.status("cart")["lastFailover"], serde_json::Value::Null);
    lab.slow_disk("cart", &master, Duration::ZERO);
    writer.more(50);
    assert_eq!(lab.whole("cart")["master"], master.as_str());
    assert_eq!(lost(&lab, &sight, writer).0, 0);
}

/// A server that waits for a disk which does not answer serves nobody: it hangs.
#[test]
fn a_master_whose_disk_stands_still_is_replaced() {
    let (lab, sight, writer) = cart("always");
    let master = lab.master("cart");
    lab.slow_disk("cart", &master, STANDS_STILL);
    let status = lab.until("cart", "another leads", |status| {
        status["lastFailover"]["cause"] == "hang" && status["master"] != master.as_str()
    });
    assert_eq!(status["lastFailover"]["oldMaster"], master.as_str());
    writer.more(100);
    lab.slow_disk("cart", &master, Duration::ZERO);
    lab.whole("cart");
    writer.more(50);
    let (lost, gap) = lost(&lab, &sight, writer);
    eprintln!("stands still: gap {gap:?}");
    // The one write that the server had taken and not acknowledged when it hung is nobody's promise.
    assert_eq!(lost, 0);
}
