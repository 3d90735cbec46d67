//! What changed among the resources from one look to the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use redoubt_api::{CheckedRedis, Fault, Key};
use redoubt_wire::config::SetConfig;

use super::Store;
use crate::{error::LocalError, files};

/// Namespace of resources that name none.
const DEFAULT_NAMESPACE: &str = "default";

/// What became of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StoreChange {
    /// It is new, or another one.
    Applied(Box<CheckedRedis>),
    /// Its file does not hold a resource that can be accepted; what runs is left as it is.
    Refused(Key, Vec<Fault>),
    /// It is gone.
    Deleted(Key),
}

/// Every resource as a change, then what each look finds. One malformed file never stops the others.
#[derive(Debug)]
pub(crate) struct Changes {
    store: Store,
    known: BTreeMap<String, Known>,
    pending: VecDeque<StoreChange>,
}

#[derive(Debug)]
struct Known {
    key: Key,
    content: Vec<u8>,
}

impl Changes {
    /// The first look.
    pub(crate) fn new(store: Store) -> Result<Self, LocalError> {
        let mut changes = Self { store, known: BTreeMap::new(), pending: VecDeque::new() };
        changes.find_left_behind()?;
        changes.look();
        Ok(changes)
    }

    /// The next change that a look found.
    pub(crate) fn next(&mut self) -> Option<StoreChange> {
        self.pending.pop_front()
    }

    /// Sets that run, or once ran, and whose resource went away while nobody watched.
    fn find_left_behind(&mut self) -> Result<(), LocalError> {
        let wanted: BTreeSet<String> = self.store.names()?.into_iter().collect();
        for name in self.store.state.set_names()? {
            let config = self.store.state.set(&name).config();
            if !wanted.contains(&name) && config.exists() {
                let namespace = files::read_json::<SetConfig>(&config).ok().flatten();
                let namespace = namespace.map_or(DEFAULT_NAMESPACE.to_owned(), |config| config.namespace);
                self.pending.push_back(StoreChange::Deleted(Key::redis(namespace, name)));
            }
        }
        Ok(())
    }

    /// Finds what changed since the last look.
    pub(crate) fn look(&mut self) {
        // A folder that cannot be listed says nothing about its resources: least of all that they were deleted.
        let names = match self.store.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::error!(%error, next = error.next(), "the resources cannot be listed");
                return;
            }
        };
        let gone: Vec<String> = self.known.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            self.pending.extend(self.known.remove(&name).map(|known| StoreChange::Deleted(known.key)));
        }
        for name in names {
            self.look_at(name);
        }
    }

    fn look_at(&mut self, name: String) {
        let path = self.store.state.resource(&name);
        let content = match files::read(&path) {
            Ok(Some(content)) => content,
            // Gone since the list was made: the next look sees that.
            Ok(None) => return,
            Err(error) => {
                tracing::error!(redis = name, %error, next = error.next(), "a resource cannot be read");
                return;
            }
        };
        let before = self.known.get(&name);
        if before.is_some_and(|known| known.content == content) {
            return;
        }
        let change = match super::understand(&name, &path, &content) {
            Ok(stored) => StoreChange::Applied(Box::new(stored.checked)),
            Err(faults) => {
                let key = before.map(|known| known.key.clone());
                let unknown = || Key::redis(DEFAULT_NAMESPACE, &name);
                StoreChange::Refused(key.unwrap_or_else(unknown), faults)
            }
        };
        let key = match &change {
            StoreChange::Applied(redis) => redis.key.clone(),
            StoreChange::Refused(key, _) | StoreChange::Deleted(key) => key.clone(),
        };
        self.known.insert(name, Known { key, content });
        self.pending.push_back(change);
    }
}
