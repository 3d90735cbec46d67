//! What a Sentinel remembers in its file, and what of it is out of date.

use std::path::Path;

use redoubt_redis::{Endpoint, conf::ConfFile};
use redoubt_wire::{
    config::{SentinelConfig, SentinelEntry, SetConfig},
    secrets::Secrets,
};

use super::{Epochs, SentinelLaunch, sentinel_conf};

/// What a Sentinel wrote into its file about one master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Whom it names master.
    pub master: Endpoint,
    /// Its epochs.
    pub epochs: Epochs,
    /// The replicas it knows.
    pub replicas: Vec<Endpoint>,
    /// The other Sentinels it knows, by id.
    pub sentinels: Vec<(String, Endpoint)>,
}

/// Somebody a Sentinel knows and the set does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// A replica.
    Replica(Endpoint),
    /// A Sentinel.
    Sentinel {
        /// Its id.
        id: String,
        /// Where it was.
        server: Endpoint,
    },
}

impl Memory {
    /// Reads the file of a Sentinel; nothing when it does not name that master or no epoch, as a
    /// file that was cut short.
    #[must_use]
    pub fn read(text: &str, master_name: &str) -> Option<Self> {
        let (mut master, mut current) = (None, None);
        let mut epochs = Epochs::default();
        let (mut replicas, mut sentinels) = (Vec::new(), Vec::new());
        for line in text.parse::<ConfFile>().ok()?.directives() {
            let words: Vec<&str> = line.iter().map(String::as_str).collect();
            match words[..] {
                ["sentinel", "current-epoch", epoch] => current = Some(epoch.parse().ok()?),
                ["sentinel", option, name, ref rest @ ..] if name == master_name => match (option, rest) {
                    ("monitor", [host, port, _quorum]) => master = Some(endpoint(host, port)?),
                    ("config-epoch", [epoch]) => epochs.config = epoch.parse().ok()?,
                    ("leader-epoch", [epoch]) => epochs.leader = epoch.parse().ok()?,
                    ("known-replica" | "known-slave", [host, port]) => replicas.push(endpoint(host, port)?),
                    ("known-sentinel", [host, port, id]) => {
                        sentinels.push(((*id).to_owned(), endpoint(host, port)?));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        // Without it the Sentinel would start at epoch 0 and vote again in epochs it has voted in.
        epochs.current = current?;
        Some(Self { master: master?, epochs, replicas, sentinels })
    }
}

fn endpoint(host: &str, port: &str) -> Option<Endpoint> {
    Some(Endpoint::new(host, port.parse().ok()?))
}

/// The file of a Sentinel made anew around what it remembers: its epochs, its votes and its master stay, all that is
/// ours is as the set wants it now, and whoever is no longer in the set is gone from it.
///
/// Expected flow: the Sentinel is stopped, its file refreshed, and it is started again; one Sentinel at a time, so
/// that a majority can vote meanwhile. Nothing when the file does not name the set's master: then the epochs are to
/// be learned from the other Sentinels before this one may vote.
#[must_use]
pub fn refresh_sentinel_conf(
    existing: &str,
    set: &SetConfig,
    entry: &SentinelEntry,
    secrets: &Secrets,
    bind: &str,
    data_dir: &Path,
) -> Option<String> {
    let memory = Memory::read(existing, &set.sentinel()?.master_name)?;
    let launch = SentinelLaunch {
        bind: bind.to_owned(),
        data_dir: data_dir.to_path_buf(),
        master: memory.master,
        epochs: memory.epochs,
    };
    sentinel_conf(set, entry, secrets, &launch)
}

/// Whom this file still lists although the set has them no more.
#[must_use]
pub fn stale_entries(existing: &str, set: &SetConfig) -> Vec<Stale> {
    let Some(config) = set.sentinel() else { return Vec::new() };
    let Some(memory) = Memory::read(existing, &config.master_name) else { return Vec::new() };
    stale(memory, set, config)
}

fn stale(memory: Memory, set: &SetConfig, config: &SentinelConfig) -> Vec<Stale> {
    let replicas = memory.replicas.into_iter().filter(|server| set.node_at(server).is_none());
    let known = |id: &str| config.sentinels.iter().any(|entry| entry.id == id);
    let sentinels = memory.sentinels.into_iter().filter(|(id, _)| !known(id));
    replicas.map(Stale::Replica).chain(sentinels.map(|(id, server)| Stale::Sentinel { id, server })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{secrets, sentinel_launch as launch, set};

    fn written() -> String {
        let set = set(3, 3);
        sentinel_conf(&set, &set.sentinel().unwrap().sentinels[0], &secrets(), &launch()).unwrap()
    }

    #[test]
    fn what_was_written_is_remembered() {
        let memory = Memory::read(&written(), "mymaster").unwrap();
        assert_eq!(memory.master, launch().master);
        assert_eq!(memory.epochs, launch().epochs);
        assert_eq!((memory.replicas.len(), memory.sentinels.len()), (2, 2));
    }

    #[test]
    fn a_file_without_master_or_epoch_is_no_memory() {
        let without = |part: &str| {
            let lines = written().lines().filter(|line| !line.contains(part)).collect::<Vec<_>>().join("\n");
            Memory::read(&lines, "mymaster")
        };
        assert!(without("nothing of the kind").is_some());
        for part in ["sentinel monitor", "current-epoch"] {
            assert_eq!(without(part), None, "{part}");
        }
        assert_eq!(Memory::read(&written(), "another"), None);
        assert_eq!(Memory::read("", "mymaster"), None);
    }

    #[test]
    fn who_left_the_set_is_stale_and_gone_after_a_refresh_while_votes_stay() {
        let smaller = set(2, 1);
        let entry = &smaller.sentinel().unwrap().sentinels[0];
        let stale = stale_entries(&written(), &smaller);
        assert_eq!(stale.len(), 3, "{stale:?}");
        let text = written().replace("leader-epoch mymaster 7", "leader-epoch mymaster 9");
        let refreshed =
            refresh_sentinel_conf(&text, &smaller, entry, &secrets(), "127.0.0.1", Path::new("/d")).unwrap();
        assert!(stale_entries(&refreshed, &smaller).is_empty());
        let memory = Memory::read(&refreshed, "mymaster").unwrap();
        assert_eq!(memory.epochs.leader, 9);
        assert_eq!(memory.master, launch().master);
    }
}
