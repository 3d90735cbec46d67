//! Clients that write, append, delete and let expire while slots move, and know what each of their keys must be.
//!
//! Each has keys of its own, and reads each key back after every change: a lost write, a second copy that answers, and a
//! deleted key that comes back are seen at once, and again at the end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use redoubt_redis::Value;
use tokio::task::JoinHandle;

use crate::{client::Client, harness::Lab};

/// Enough that every moved range holds keys of each writer.
const KEYS: u64 = 400;

pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<(Client, Model)>>,
}

/// What each key must be; a key that is in here with `None` was deleted.
type Model = BTreeMap<String, Option<String>>;

impl Writers {
    pub(crate) fn start(lab: &Lab, count: u64) -> Self {
        let (stop, changes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = (0..count)
            .map(|number| {
                let client = Client::new(&lab.access, lab.endpoints());
                tokio::spawn(write(client, number, stop.clone(), changes.clone()))
            })
            .collect();
        Self { stop, changes, tasks }
    }

    /// How many changes were made until now.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Waits until so many more were made.
    pub(crate) async fn more(&self, count: u64) {
        let wanted = self.changes() + count;
        let end = tokio::time::Instant::now() + crate::harness::PATIENCE;
        while self.changes() < wanted {
            assert!(self.tasks.iter().all(|task| !task.is_finished()), "a writer has ended");
            assert!(tokio::time::Instant::now() < end, "the writers make no progress");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Stops them, reads every key once more, and counts what the cluster holds of them; how many live.
    pub(crate) async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut live = 0;
        for task in self.tasks {
            let (mut client, model) = task.await.unwrap();
            for (key, wanted) in &model {
                let (found, _) = client.call(&["GET", key]).await;
                assert_eq!(text(&found), *wanted, "{key} at the end");
            }
            live += model.values().flatten().count() as u64;
        }
        live
    }
}

async fn write(
    mut client: Client,
    number: u64,
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicU64>,
) -> (Client, Model) {
    let mut model = Model::new();
    let mut seed = number.wrapping_mul(0x9E37_79B9) | 1;
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Xorshift: the same turns in every run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let key = format!("w{number}:{}", seed % KEYS);
        let value = format!("{number}-{turn}");
        let (wanted, unsure) = match seed / KEYS % 8 {
            0 | 1 => (None, client.call(&["DEL", &key]).await.1),
            2 => {
                let unsure = client.call(&["SET", &key, &value]).await.1;
                // Gone the moment it is set, wherever it is.
                (None, client.call(&["PEXPIRE", &key, "0"]).await.1 || unsure)
            }
            3 => {
                let before = model.get(&key).cloned().flatten().unwrap_or_default();
                (Some(format!("{before}{value}")), client.call(&["APPEND", &key, &value]).await.1)
            }
            4 => (Some(value.clone()), client.call(&["SET", &key, &value, "EX", "1000"]).await.1),
            _ => (Some(value.clone()), client.call(&["SET", &key, &value]).await.1),
        };
        let (found, _) = client.call(&["GET", &key]).await;
        // A try that was not answered may have been carried out as well: twice appended is no fault.
        if !unsure {
            assert_eq!(text(&found), wanted, "{key} in turn {turn}");
        }
        model.insert(key, text(&found));
        changes.fetch_add(1, Ordering::Relaxed);
    }
    (client, model)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().ok().map(str::to_owned)
}

/// Fills the cluster with so many keys of so many bytes; their sum is checked by [`filled`].
pub(crate) async fn fill(lab: &Lab, keys: usize, bytes: usize) {
    let cluster = lab.look().await;
    let value = "x".repeat(bytes);
    for master in cluster.masters() {
        let mut connection = lab.access.connect(&master.endpoint).await.unwrap();
        let names = (0..keys).map(|number| format!("fill:{number}"));
        let own: Vec<String> = names
            .filter(|name| master.slots.contains(redoubt_redis::cluster::key_slot(name.as_bytes())))
            .collect();
        for part in own.chunks(1000) {
            let commands: Vec<Vec<&str>> =
                part.iter().map(|name| vec!["SET", name.as_str(), value.as_str()]).collect();
            assert!(connection.pipeline(&commands).await.unwrap().iter().all(Result::is_ok));
        }
    }
}

/// Every key that [`fill`] made is there once, at the owner of its slot, with its value.
pub(crate) async fn filled(lab: &Lab, keys: usize, bytes: usize) {
    let cluster = lab.look().await;
    let mut found = 0;
    for master in cluster.masters() {
        let mut connection = lab.access.connect(&master.endpoint).await.unwrap();
        let names: Vec<String> = (0..keys)
            .map(|number| format!("fill:{number}"))
            .filter(|name| master.slots.contains(redoubt_redis::cluster::key_slot(name.as_bytes())))
            .collect();
        for part in names.chunks(1000) {
            let commands: Vec<Vec<&str>> = part.iter().map(|name| vec!["STRLEN", name.as_str()]).collect();
            for (name, length) in part.iter().zip(connection.pipeline(&commands).await.unwrap()) {
                assert_eq!(length.unwrap().as_u64(), Ok(bytes as u64), "{name}");
                found += 1;
            }
        }
    }
    assert_eq!(found, keys);
}

/// Keys in all masters together.
pub(crate) async fn count(lab: &Lab) -> u64 {
    lab.look().await.masters().map(|node| node.keys().unwrap()).sum()
}

/// A key of this slot.
pub(crate) fn tag_of(slot: u16) -> String {
    let mut numbers = (0..u32::MAX).map(|number| number.to_string());
    numbers.find(|tag| redoubt_redis::cluster::key_slot(tag.as_bytes()) == slot).unwrap()
}
