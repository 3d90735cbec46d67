//! Trouble from outside: files that change, addresses that are taken, passwords that are wrong.

use std::{fs, net::TcpListener};

use crate::{
    bad_input::redis,
    lab::{Lab, is, wait_for},
    promises::death::{end, foreground},
};

#[test]
fn a_changed_file_is_applied_while_up_runs_and_a_broken_one_changes_nothing() {
    let lab = Lab::heavy();
    lab.file("redis.yaml", &redis("cart", ""));
    let mut up = foreground(&lab);
    wait_for("the state folder", 20, || lab.state().join("resources/cart.yaml").exists());
    lab.whole("cart");
    lab.file("redis.yaml", &redis("cart", "  replicas: 4\n"));
    lab.until("cart", "a fourth node", |status| status["nodes"].as_array().unwrap().len() == 4);
    lab.whole("cart");
    let before = lab.servers("cart");
    lab.file("redis.yaml", &redis("cart", "  replicas: none\n"));
    lab.file("redis.yaml", &redis("cart", "  replicas: 4\n  config: {dir: /tmp}\n"));
    lab.run(["apply", "-f", "redis.yaml"]).failed(2, &["spec.config.dir"]);
    assert_eq!(lab.servers("cart"), before);
    assert!(is(&lab.status("cart"), "Ready"));
    end(&mut up);
}

#[test]
fn a_second_engine_for_the_same_folder_is_refused_and_changes_nothing() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    let before = lab.servers("cart");
    lab.file("other.yaml", &redis("other", ""));
    lab.run(["up", "-f", "other.yaml"]).failed(1, &["an engine runs", "hint: "]);
    lab.run(["status", "other"]).failed(3, &["no Redis \"other\""]);
    // In the background it is no contradiction: what is asked for runs in the end.
    lab.run(["up", "-f", "other.yaml", "--detach"]).ok();
    lab.whole("other");
    assert_eq!(lab.servers("cart"), before);
}

#[test]
fn a_taken_address_is_named_and_the_member_starts_when_it_is_free() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    lab.whole("cart");
    let address = lab.address("cart", "cart-2");
    lab.run(["down"]).ok();
    let thief = TcpListener::bind(address.clone()).unwrap();
    let mut up = foreground(&lab);
    let status = lab.until("cart", "the address is named", |status| {
        let text = status["conditions"].to_string();
        text.contains(&format!("{}:{}", address.0, address.1)) && is(status, "Available")
    });
    assert!(!is(&status, "Ready"), "{status:#}");
    drop(thief);
    lab.whole("cart");
    end(&mut up);
}

#[test]
fn a_password_that_is_missing_or_unfit_is_refused_with_its_file() {
    let lab = Lab::light();
    lab.file("redis.yaml", &redis("cart", "  auth: {secretName: login}\n"));
    lab.run(["up", "-f", "redis.yaml", "--detach"])
        .failed(2, &["auth.secretName", "secrets/login/password", "missing"]);
    let secret = lab.state().join("secrets/login");
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join("password"), "two words\n").unwrap();
    lab.run(["up", "-f", "redis.yaml", "--detach"]).failed(2, &["secrets/login/password", "white space"]);
    assert_eq!(lab.processes(), 0);
}

#[test]
fn a_password_of_ones_own_is_used_and_can_be_changed_while_it_runs() {
    let lab = Lab::heavy();
    let with = |password: &str| {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: login}}\nstringData: {{password: {password}}}\n"
        );
        format!("{}---\n{secret}", redis("cart", "  auth: {secretName: login}\n"))
    };
    lab.up(&with("first-4c1b9f70"));
    let ping = |password: &str| -> redis::RedisResult<String> {
        redis::cmd("PING").query(&mut lab.connect_with("cart", &lab.master("cart"), Some(password))?)
    };
    assert_eq!(ping("first-4c1b9f70").unwrap(), "PONG");
    let before = lab.servers("cart");
    lab.apply(&with("second-8d2a0e61"));
    wait_for("the new password counts", 30, || ping("second-8d2a0e61").is_ok());
    assert_eq!(lab.connection("cart")["password"], "second-8d2a0e61");
    lab.whole("cart");
    assert_eq!(lab.servers("cart"), before, "no server was restarted for it");
}

/// What `Ready` says while it is false.
fn not_ready(status: &serde_json::Value) -> String {
    let conditions = status["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|one| one["type"] == "Ready" && one["status"] == "False");
    ready.map_or_else(String::new, |ready| ready["message"].as_str().unwrap().to_owned())
}

#[test]
fn a_password_that_becomes_unfit_is_said_by_the_status_and_what_runs_keeps_its_own() {
    let lab = Lab::heavy();
    let secret = lab.state().join("secrets/login");
    fs::create_dir_all(&secret).unwrap();
    let write = |text: &str| fs::write(secret.join("password"), text).unwrap();
    write("first-4c1b9f70\n");
    lab.up(&redis("cart", "  auth: {secretName: login}\n"));
    let before = lab.servers("cart");
    write("two words\n");
    let status =
        lab.until("cart", "the file is named", |status| not_ready(status).contains("secrets/login/password"));
    assert!(is(&status, "Available") && !is(&status, "Progressing"), "{status:#}");
    let mut master = lab.connect_with("cart", &lab.master("cart"), Some("first-4c1b9f70")).unwrap();
    assert_eq!(redis::cmd("PING").query::<String>(&mut master).unwrap(), "PONG");
    write("second-8d2a0e61\n");
    lab.whole("cart");
    assert_eq!(lab.connection("cart")["password"], "second-8d2a0e61");
    assert_eq!(lab.servers("cart"), before);
}

#[test]
fn a_step_that_this_machine_refuses_is_said_by_ready_with_what_to_do() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    let before = lab.servers("cart");
    lab.apply(&redis("cart", "  version: \"99.9\"\n"));
    let status = lab.until("cart", "the version is named", |status| {
        let said = not_ready(status);
        said.contains("failed: ") && said.contains("install version 99.9")
    });
    assert!(is(&status, "Available"), "{status:#}");
    assert_eq!(lab.servers("cart"), before);
    lab.apply(&redis("cart", ""));
    lab.whole("cart");
    assert_eq!(lab.servers("cart"), before);
}

#[test]
fn a_log_is_json_for_programs_and_text_for_people() {
    let lab = Lab::heavy();
    lab.up(&redis("cart", ""));
    let said = lab.run(["logs", "cart-0"]).ok();
    assert!(said.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{said:?}");
    let text = lab.run(["logs", "cart-sentinel-0", "-o", "text"]).ok().out;
    assert!(text.contains("node=cart-sentinel-0"), "{text}");
    lab.run(["logs", "cart-sentinel-9"]).failed(3, &["no node or Sentinel \"cart-sentinel-9\"", "hint: "]);
}
