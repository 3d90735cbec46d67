//! What the slots hold.

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::SmallRng};
use redoubt_redis::cluster::key_slot;

/// Slots of a cluster.
const SLOTS: usize = 16384;
/// Dense slots: the first so many.
const DENSE: usize = 200;

/// Names and sizes of keys, by slot.
pub(crate) struct Data {
    slots: Vec<Vec<(String, usize)>>,
}

/// Keys and their bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Amount {
    pub(crate) slots: usize,
    pub(crate) keys: usize,
    pub(crate) bytes: usize,
}

impl Data {
    /// A million keys of 100 bytes: 61 a slot.
    pub(crate) fn small() -> Self {
        Self::of((0..1_000_000).map(|number| (format!("key:{number}"), 100)))
    }

    /// 200,000 keys from 64 bytes to 1 MB, 3 KB on average: each size twice as big is 0.64 times as frequent.
    pub(crate) fn mixed() -> Self {
        let mut random = SmallRng::seed_from_u64(1);
        Self::of((0..200_000).map(|number| {
            let mut size = 64;
            while size < 1024 * 1024 && random.random_bool(0.637) {
                size *= 2;
            }
            (format!("key:{number}"), size)
        }))
    }

    /// A million keys of 100 bytes in 200 slots of the first master.
    pub(crate) fn dense() -> Self {
        let mut tags = vec![None; DENSE];
        let mut missing = DENSE;
        for number in 0_u64.. {
            let tag = number.to_string();
            let slot = usize::from(key_slot(tag.as_bytes()));
            if slot < DENSE && tags[slot].is_none() {
                tags[slot] = Some(tag);
                missing -= 1;
            }
            if missing == 0 {
                break;
            }
        }
        let keys = tags
            .into_iter()
            .flatten()
            .flat_map(|tag| (0..5000).map(move |number| (format!("{{{tag}}}:{number}"), 100)));
        Self::of(keys)
    }

    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::of([])
    }

    fn of(keys: impl IntoIterator<Item = (String, usize)>) -> Self {
        let mut slots = vec![Vec::new(); SLOTS];
        for (key, size) in keys {
            slots[usize::from(key_slot(key.as_bytes()))].push((key, size));
        }
        Self { slots }
    }

    /// What the first so many slots hold. Both tools take the lowest slots of a source.
    pub(crate) fn of_slots(&self, count: usize) -> Amount {
        let keys = || self.slots[..count].iter().flatten();
        Amount { slots: count, keys: keys().count(), bytes: keys().map(|(key, size)| key.len() + size).sum() }
    }

    /// Names in the first so many slots, for a client to ask for; of an empty cluster names that nobody has.
    pub(crate) fn some_keys(&self, slots: usize) -> Vec<String> {
        let few = self.slots[..slots].iter().filter_map(|keys| Some(keys.first()?.0.clone()));
        let few: Vec<String> = few.collect();
        if few.is_empty() { (0..1000).map(|number| format!("nobody:{number}")).collect() } else { few }
    }

    /// The keys of a range of slots, with values that do not compress.
    pub(crate) fn values(&self, slots: std::ops::Range<usize>) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let mut random = SmallRng::seed_from_u64(slots.start as u64);
        self.slots[slots].iter().flatten().map(move |(key, size)| {
            let mut value = vec![0; *size];
            random.fill_bytes(&mut value);
            (key.as_str(), value)
        })
    }
}
