//! Many sets in one engine; a broken one is nobody else's trouble.

use crate::{
    bad_input::redis,
    lab::{Lab, is},
};

#[test]
fn twenty_sets_become_ready_though_one_of_them_is_broken() {
    const SETS: usize = 20;
    let lab = Lab::alone();
    let mut documents: Vec<String> = (0..SETS).map(|n| redis(&format!("set-{n}"), "")).collect();
    // No server takes this value, so this one never starts.
    documents[7] = redis("set-7", "  config: {maxmemory-policy: sometimes}\n");
    lab.file("redis.yaml", &documents.join("---\n"));
    // One is at fault, so this is not a success; the others are.
    let said = lab.run(["up", "-f", "redis.yaml", "--detach"]);
    said.failed(2, &["set-7 is not Ready: ", "spec.config.maxmemory-policy"]);
    let all = lab.run(["status", "-o", "json"]).ok().json();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), SETS);
    for status in all {
        assert_eq!(is(status, "Ready"), status["name"] != "set-7", "{status:#}");
    }
    let broken = lab.status("set-7");
    assert!(broken["conditions"].to_string().contains("maxmemory-policy"), "{broken:#}");
    // And it can be mended while the others run.
    let before = lab.servers("set-3");
    lab.file("redis.yaml", &redis("set-7", ""));
    lab.run(["apply", "-f", "redis.yaml"]).ok();
    lab.whole("set-7");
    assert_eq!(lab.servers("set-3"), before);
    lab.run(["down"]).ok();
    assert_eq!(lab.processes(), 0);
}
