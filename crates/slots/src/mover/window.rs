//! The slots of one pair that are on their way: a state machine without I/O.
//!
//! A slot waits, is opened at both ends and listed, its keys go in batches, it is listed again, and closed once the
//! source has none left. Opening, listing and closing are done for many slots at once, so that their round trips are
//! shared; the window bounds how many are open, and so what an interruption leaves to be finished.

use std::collections::{BTreeMap, VecDeque};

use redoubt_redis::cluster::SlotSet;

/// Beyond 256 the prototype gained nothing.
const OPEN_SLOTS: usize = 256;
/// Keys of open slots: finished within a quarter of a second at 150,000 keys a second.
const OPEN_KEYS: u64 = 32 * 1024;
/// Keys that are asked for at once in one slot.
pub(super) const LISTED_KEYS: usize = 1000;
/// Below this many queued keys the lanes will soon be idle, so that also a few slots are worth a round trip.
const FEW_KEYS: usize = 4000;
/// Otherwise so many slots share it.
const WORTHWHILE: usize = 64;

/// A key and what MEMORY USAGE says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: Vec<u8>,
    pub(super) bytes: u64,
}

/// What one MIGRATE takes: keys of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) slot: u16,
    pub(super) keys: Vec<Key>,
    /// The target has a copy that an unanswered MIGRATE left there.
    pub(super) overwrite: bool,
    /// Tries that failed.
    pub(super) failures: u32,
}

/// What is to be done at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    /// To be opened, then listed.
    pub(super) open: Vec<u16>,
    /// To be listed again, and closed if nothing is left.
    pub(super) list: Vec<u16>,
}

#[derive(Debug, Default)]
struct Slot {
    queued: VecDeque<Key>,
    /// Batches under way, and those that have to be sent again.
    sending: usize,
    again: Vec<Batch>,
    at_ends: bool,
    expected: u64,
}

impl Slot {
    fn is_drained(&self) -> bool {
        !self.at_ends && self.sending == 0 && self.queued.is_empty() && self.again.is_empty()
    }
}

/// The slots of one pair.
#[derive(Debug)]
pub(super) struct Window {
    waiting: VecDeque<(u16, u64)>,
    slots: BTreeMap<u16, Slot>,
    /// Slots with something to send.
    ready: VecDeque<u16>,
}

impl Window {
    /// These slots, with how many keys each is expected to hold.
    pub(super) fn new(slots: impl IntoIterator<Item = (u16, u64)>) -> Self {
        Self { waiting: slots.into_iter().collect(), slots: BTreeMap::new(), ready: VecDeque::new() }
    }

    /// Opens no more.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Nothing waits, nothing is open.
    #[cfg(test)]
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.slots.is_empty()
    }

    /// What was opened and not closed.
    pub(super) fn open(&self) -> SlotSet {
        self.slots.keys().copied().collect()
    }

    /// Slots of which all that was listed has gone.
    pub(super) fn drained(&self) -> Vec<u16> {
        self.slots.iter().filter(|(_, slot)| slot.is_drained()).map(|(slot, _)| *slot).collect()
    }

    /// What the ends should do now, if it is worth their while.
    pub(super) fn work(&mut self) -> Option<Work> {
        let list = self.drained();
        let open = self.openable();
        let queued: usize = self.slots.values().map(|slot| slot.queued.len()).sum();
        if list.len() + open == 0 || (queued >= FEW_KEYS && list.len() + open < WORTHWHILE) {
            return None;
        }
        for slot in &list {
            self.slots.entry(*slot).and_modify(|slot| slot.at_ends = true);
        }
        let open = self.waiting.drain(..open).collect::<Vec<_>>();
        for (slot, expected) in &open {
            self.slots.insert(*slot, Slot { at_ends: true, expected: *expected, ..Slot::default() });
        }
        Some(Work { open: open.into_iter().map(|(slot, _)| slot).collect(), list })
    }

    fn openable(&self) -> usize {
        let mut keys: u64 = self.slots.values().map(|slot| slot.expected).sum();
        let room = OPEN_SLOTS.saturating_sub(self.slots.len());
        let fits = self.waiting.iter().take(room).take_while(|(_, expected)| {
            let fits = keys == 0 || keys + expected <= OPEN_KEYS;
            keys += expected;
            fits
        });
        fits.count()
    }

    /// The source has these keys left in a slot.
    pub(super) fn listed(&mut self, slot: u16, keys: Vec<Key>) {
        if let Some(state) = self.slots.get_mut(&slot) {
            state.at_ends = false;
            state.queued.extend(keys);
            self.ready.push_back(slot);
        }
    }

    /// The slot belongs to the target, or was given up.
    pub(super) fn gone(&mut self, slot: u16) {
        self.slots.remove(&slot);
    }

    /// The next batch: at most so many keys, whose `cost` stays within the budget; at least one key.
    pub(super) fn next_batch(
        &mut self,
        keys: usize,
        budget: u64,
        cost: impl Fn(&Key) -> u64,
    ) -> Option<Batch> {
        while let Some(number) = self.ready.front().copied() {
            let Some(slot) = self.slots.get_mut(&number) else {
                self.ready.pop_front();
                continue;
            };
            if let Some(batch) = slot.again.pop() {
                slot.sending += 1;
                return Some(batch);
            }
            let mut spent = 0;
            let mut taken = Vec::new();
            while let Some(key) = slot.queued.front() {
                spent += cost(key);
                if !taken.is_empty() && (spent > budget || taken.len() >= keys) {
                    break;
                }
                taken.extend(slot.queued.pop_front());
            }
            if taken.is_empty() {
                self.ready.pop_front();
                continue;
            }
            slot.sending += 1;
            return Some(Batch { slot: number, keys: taken, overwrite: false, failures: 0 });
        }
        None
    }

    /// The source has answered: the keys of this batch are not there any more.
    pub(super) fn sent(&mut self, slot: u16) {
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.sending -= 1;
        }
    }

    /// The batch has to be sent again, before all others: it is the one that shows whether the target answers at all, and
    /// until then the source stands still for each.
    pub(super) fn again(&mut self, batch: Batch) {
        let number = batch.slot;
        if let Some(slot) = self.slots.get_mut(&number) {
            slot.sending -= 1;
            slot.again.push(batch);
            self.ready.push_front(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn key(number: u64, bytes: u64) -> Key {
        Key { name: number.to_string().into_bytes(), bytes }
    }

    #[test]
    fn a_key_above_the_budget_goes_alone() {
        let mut window = Window::new([(1, 3)]);
        window.work().unwrap();
        window.listed(1, vec![key(1, 10), key(2, 1_000_000), key(3, 10)]);
        let sizes: Vec<usize> = std::iter::from_fn(|| window.next_batch(100, 100, |key| key.bytes))
            .map(|batch| batch.keys.len())
            .collect();
        assert_eq!(sizes, [1, 1, 1]);
    }

    #[test]
    fn a_stopped_window_finishes_what_is_open_and_opens_nothing() {
        let mut window = Window::new((0..1000).map(|slot| (slot, 0)));
        let work = window.work().unwrap();
        assert_eq!(work.open.len(), OPEN_SLOTS);
        window.stop();
        for slot in work.open {
            window.listed(slot, Vec::new());
        }
        let again = window.work().unwrap();
        assert!(again.open.is_empty() && again.list.len() == OPEN_SLOTS);
        again.list.into_iter().for_each(|slot| window.gone(slot));
        assert!(window.is_done());
    }

    #[test]
    fn dense_slots_are_opened_a_few_at_a_time() {
        let mut window = Window::new((0..100).map(|slot| (slot, 100_000)));
        assert_eq!(window.work().unwrap().open.len(), 1);
    }

    #[test]
    fn a_batch_that_failed_is_the_next_one() {
        let mut window = Window::new((0..20).map(|slot| (slot, 1)));
        for slot in window.work().unwrap().open {
            window.listed(slot, vec![key(u64::from(slot), 10)]);
        }
        let first = window.next_batch(100, 100, |key| key.bytes).unwrap();
        window.next_batch(100, 100, |key| key.bytes).unwrap();
        window.again(first.clone());
        assert_eq!(window.next_batch(100, 100, |key| key.bytes), Some(first));
    }

    proptest! {
        // Each looks at every key many times.
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// A model of the source: every key leaves it, whatever fails in between, and no slot is closed before.
        #[test]
        fn no_slot_is_closed_with_a_key_left(
            counts in vec(0u64..1500, 1..12), fail in vec(any::<bool>(), 1..20), keys in 1usize..300,
        ) {
            let mut source: BTreeMap<u16, Vec<Key>> = (0u16..)
                .zip(&counts)
                .map(|(slot, count)| (slot, (0..*count).map(|number| key(number, number % 700)).collect()))
                .collect();
            let mut window = Window::new(source.iter().map(|(slot, keys)| (*slot, keys.len() as u64)));
            let mut fails = fail.iter().cycle();
            let mut steps = 0;
            while !window.is_done() {
                steps += 1;
                prop_assert!(steps < 100_000, "it does not end");
                if let Some(work) = window.work() {
                    for slot in work.open.into_iter().chain(work.list) {
                        let left = source[&slot].iter().take(LISTED_KEYS).cloned().collect::<Vec<_>>();
                        if left.is_empty() { window.gone(slot) } else { window.listed(slot, left) }
                    }
                }
                let lanes: Vec<Batch> = (0..2).filter_map(|_| window.next_batch(keys, 20_000, |key| key.bytes)).collect();
                for mut batch in lanes {
                    if batch.failures < 2 && *fails.next().unwrap() {
                        batch.failures += 1;
                        window.again(batch);
                    } else {
                        let left = source.get_mut(&batch.slot).unwrap();
                        left.retain(|key| !batch.keys.contains(key));
                        window.sent(batch.slot);
                    }
                }
                prop_assert!(window.open().len() <= OPEN_SLOTS);
            }
            prop_assert!(source.values().all(Vec::is_empty));
        }
    }
}
