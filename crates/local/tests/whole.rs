//! The whole of it: an engine, its files, its sets, and their end.

mod common;

use std::time::Duration;

use common::*;
use redoubt_api::Source;
use redoubt_engine::platform::Platform as _;
use redoubt_local::{Applied, EngineOptions, FileReport, Local, LocalEngine, LocalError, Progress};

fn engine_options(machine: &Machine, files: Vec<std::path::PathBuf>) -> EngineOptions {
    EngineOptions { state_dir: machine.path().to_path_buf(), files, platform: Machine::options() }
}

fn apply_text(local: &Local, text: &str) -> Result<Vec<(String, Applied)>, LocalError> {
    let batch = redoubt_api::read(&[Source { file: "test.yaml", text }]);
    assert!(batch.faults.is_empty(), "{:?}", batch.faults);
    local.apply(&batch)
}

/// Waits until so many members of a set run.
#[allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests")]
async fn running(local: &Local, set: &str, count: usize) {
    let mut watch = local.watch().unwrap();
    let look = async {
        loop {
            let members = local.members(set).unwrap_or_default();
            if members.iter().filter(|member| member.pid.is_some()).count() == count {
                return;
            }
            // Members have folders that nobody watches.
            let _ = tokio::time::timeout(Duration::from_millis(10), watch.changed()).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{:?}", local.members(set)));
}

#[tokio::test]
async fn everything_ends_in_order_and_nothing_is_left_behind() {
    let machine = Machine::new();
    let platform = machine.platform();
    apply(&platform, &redis("cart", "replicas: 3")).await;
    apply(&platform, &redis("other", "mode: Standalone")).await;
    answering(&machine, "cart").await;
    answering(&machine, "other").await;
    drop(platform);
    let seen = std::sync::Mutex::new(0);
    let count = |progress: Progress<'_>| {
        if let Progress::MemberStopped { .. } = progress {
            *seen.lock().unwrap() += 1;
        }
    };
    machine.local().down(&count).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), 7);
    assert!(machine.processes().is_empty());
    let journal = machine.journal("cart");
    assert!(journal.iter().all(|line| line.ends_with(r#"{"handOver":false}"#)), "{journal:?}");
    assert!(journal[..3].iter().all(|line| line.starts_with("cart-sentinel-")), "{journal:?}");
    assert!(journal[5].starts_with("cart-0 "), "the master is the last: {journal:?}");
    assert!(machine.local().members("cart").is_err() || machine.local().members("cart").unwrap().is_empty());
    machine.local().down(&silent).await.unwrap();
    let platform = machine.platform();
    apply(&platform, &redis("cart", "replicas: 3")).await;
    machine.processes_become(6).await;
}

#[tokio::test]
async fn a_deaf_or_frozen_member_does_not_keep_a_set_from_stopping() {
    let machine = Machine::new();
    let platform = machine.platform();
    let cart = redis("cart", "replicas: 3, terminationGracePeriod: 1s");
    machine.behave("cart", "cart-0", "deaf");
    apply(&platform, &cart).await;
    answering(&machine, "cart").await;
    let frozen = rustix::process::Pid::from_raw(pid_of(&machine, "cart", "cart-1").cast_signed()).unwrap();
    rustix::process::kill_process(frozen, rustix::process::Signal::STOP).unwrap();
    drop(platform);
    tokio::time::timeout(PATIENCE, machine.local().down(&silent)).await.unwrap().unwrap();
    assert!(machine.processes().is_empty());
}

#[tokio::test]
async fn a_damaged_set_keeps_nothing_from_stopping() {
    let machine = Machine::new();
    let platform = machine.platform();
    for name in ["cart", "damaged"] {
        apply(&platform, &redis(name, "replicas: 2, terminationGracePeriod: 1s")).await;
        answering(&machine, name).await;
    }
    drop(platform);
    let damaged = machine.state().set("damaged");
    std::fs::write(damaged.identity(), "{").unwrap();
    std::fs::remove_dir_all(damaged.secrets()).unwrap();
    std::fs::write(damaged.member("damaged-1").agent(), "").unwrap();
    tokio::time::timeout(PATIENCE, machine.local().down(&silent)).await.unwrap().unwrap();
    assert!(machine.processes().is_empty(), "{:?}", machine.processes());
}

#[tokio::test]
async fn twenty_sets_run_and_a_broken_one_slows_nobody() {
    let machine = Machine::new();
    let mut engine = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap();
    let text: String = (0..20)
        .map(|n| {
            let spec = if n == 7 { "replicas: 3, version: \"1.2\"" } else { "replicas: 3" };
            resource(&format!("set-{n}"), spec)
        })
        .collect();
    let applied = apply_text(engine.local(), &text).unwrap();
    assert_eq!(applied.len(), 20);
    for n in (0..20).filter(|n| *n != 7) {
        running(engine.local(), &format!("set-{n}"), 6).await;
    }
    machine.processes_become(19 * 6).await;
    let mut watch = engine.local().watch().unwrap();
    let told = async {
        loop {
            let status = engine.local().status("set-7").unwrap().unwrap_or_default();
            let mut messages = status.conditions.iter().map(|condition| &condition.message);
            let mut events = status.events.iter().map(|event| &event.message);
            let told = |message: &String| message.contains("version 1.2 is asked for");
            if messages.any(told) || events.any(told) {
                return;
            }
            watch.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, told)
        .await
        .unwrap_or_else(|_| panic!("{:?}", engine.local().status("set-7")));
    tokio::select! {
        error = engine.ended() => panic!("{error}"),
        () = std::future::ready(()) => {}
    }
    engine.down(&silent).await.unwrap();
    assert!(machine.processes().is_empty());
}

#[tokio::test]
async fn one_engine_per_state_folder() {
    let machine = Machine::new();
    let engine = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap();
    let error = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap_err();
    assert!(
        matches!(error, LocalError::EngineRuns { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    assert_eq!(machine.local().engine().unwrap().unwrap().pid, std::process::id());
    engine.leave().await;
    assert_eq!(machine.local().engine().unwrap(), None);
}

#[tokio::test]
async fn a_changed_file_is_applied_and_a_broken_one_changes_nothing() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cart.yaml");
    std::fs::write(&file, resource("cart", "replicas: 2")).unwrap();
    let mut engine = LocalEngine::start(engine_options(&machine, vec![file.clone()])).await.unwrap();
    apply_text(engine.local(), &resource("cart", "replicas: 2")).unwrap();
    running(engine.local(), "cart", 5).await;

    // As editors do: beside, then in its place.
    let replace = |spec: &str| {
        std::fs::write(folder.path().join("new"), resource("cart", spec)).unwrap();
        std::fs::rename(folder.path().join("new"), &file).unwrap();
    };
    replace("replicas: 0");
    let report = tokio::time::timeout(PATIENCE, engine.report()).await.unwrap();
    let FileReport::Refused(faults) = report else { panic!("{report:?}") };
    assert!(faults[0].to_string().contains("cart.yaml:5"), "{}", faults[0]);
    assert_eq!(engine.local().members("cart").unwrap().len(), 5);
    replace("replicas: 3");
    let report = tokio::time::timeout(PATIENCE, engine.report()).await.unwrap();
    assert!(
        matches!(&report, FileReport::Applied(applied, _) if applied[0].1 == Applied::Configured),
        "{report:?}"
    );
    running(engine.local(), "cart", 6).await;
    engine.down(&silent).await.unwrap();
}

#[tokio::test]
async fn a_deleted_set_is_gone_and_its_data_comes_back_with_it() {
    let machine = Machine::new();
    let engine = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap();
    let text = resource("cart", "replicas: 3");
    apply_text(engine.local(), &text).unwrap();
    running(engine.local(), "cart", 6).await;
    let data = machine.state().set("cart").member("cart-0").data().join("dump.rdb");
    std::fs::write(&data, "data").unwrap();
    let local = engine.local().clone();
    let deleted = tokio::time::timeout(PATIENCE, local.delete("cart", &silent)).await.unwrap().unwrap();
    assert_eq!(deleted.data.as_deref(), Some(machine.state().set("cart").root()));
    assert!(machine.processes().is_empty());
    assert!(matches!(local.delete("cart", &silent).await, Err(LocalError::NoSuchRedis { .. })));
    assert!(data.exists());
    apply_text(&local, &text).unwrap();
    running(&local, "cart", 6).await;
    assert!(data.exists());

    engine.leave().await;
    let text = resource("cart", "replicas: 3, persistence: {volume: {keepAfterDeletion: false}}");
    apply_text(&local, &text).unwrap();
    let deleted = tokio::time::timeout(PATIENCE, local.delete("cart", &silent)).await.unwrap().unwrap();
    assert_eq!(deleted.data, None, "what the resource says last counts, also without an engine");
    assert!(!machine.state().set("cart").root().exists());
    assert!(machine.processes().is_empty());
}

#[tokio::test]
async fn a_resource_removed_while_no_engine_ran_is_deleted_by_the_next_one() {
    let machine = Machine::new();
    let engine = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap();
    apply_text(engine.local(), &resource("cart", "replicas: 2")).unwrap();
    running(engine.local(), "cart", 5).await;
    engine.leave().await;
    machine.processes_become(5).await;
    machine.local().store().delete("cart").unwrap();
    let engine = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap();
    machine.processes_become(0).await;
    engine.down(&silent).await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_missing_or_not_fit_is_refused_and_a_new_one_keeps_the_old_one_accepted() {
    let machine = Machine::new();
    let local = machine.local();
    let text = resource("cart", "mode: Standalone, auth: {secretName: cart-login}");
    let error = apply_text(&local, &text).unwrap_err();
    let file = machine.state().given_secret("cart-login").join("password");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    assert!(local.store().names().unwrap().is_empty(), "nothing was applied");
    write(&file, "two words\n");
    let error = apply_text(&local, &text).unwrap_err().to_string();
    assert!(error.contains("white space"), "{error}");
    write(&file, "first-one\n");
    let engine = LocalEngine::start(engine_options(&machine, Vec::new())).await.unwrap();
    apply_text(&local, &text).unwrap();
    running(&local, "cart", 1).await;
    let password = machine.state().set("cart").application_password();
    assert_eq!(std::fs::read_to_string(&password).unwrap(), "first-one\n");

    let becomes = async |wanted: &str| {
        let look = async {
            while std::fs::read_to_string(&password).unwrap() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    };
    write(&file, "second-one\n");
    becomes("second-one\nfirst-one\n").await;
    write(&file, "\n");
    apply_text(&local, &format!("{text}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cart-login}}\nstringData: {{password: third-one}}\n")).unwrap();
    becomes("third-one\nsecond-one\n").await;
    engine.down(&silent).await.unwrap();
}

#[tokio::test]
async fn a_connection_names_the_master_and_the_passwords() {
    let machine = Machine::new();
    let platform = machine.platform();
    let local = machine.local();
    assert!(matches!(local.connection("cart").await, Err(LocalError::NoSuchRedis { .. })));
    apply(&platform, &redis("cart", "replicas: 3")).await;
    answering(&machine, "cart").await;
    let connection = local.connection("cart").await.unwrap();
    let identity = platform.identify(&redis("cart", "replicas: 3")).await.unwrap();
    assert_eq!(connection.master, Some(identity.nodes[0].server.clone()));
    assert_eq!(connection.replicas.len(), 2);
    assert_eq!(connection.sentinels.len(), 3);
    assert_eq!(connection.master_name.as_deref(), Some("mymaster"));
    assert!(connection.password.is_some() && connection.sentinel_password.is_some());
    let member = local.member("cart-sentinel-1").unwrap();
    assert_eq!(member.server, identity.sentinels[1].server);
    let error = local.member("cart-9").unwrap_err();
    assert!(error.next().contains("cart-sentinel-2"), "{}", error.next());
}
