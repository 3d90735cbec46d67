//! Sets of slots.

use std::{fmt, str::FromStr};

use crate::value::Mismatch;

/// A cluster has so many slots.
pub const SLOTS: u16 = 16384;

const WORDS: usize = SLOTS as usize / 64;

/// Runs of slots that an outline shows.
const OUTLINED: usize = 6;

/// Any of the 16384 slots. Written as CLUSTER NODES writes them: `0-5460,9000`.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet([u64; WORDS]);

impl Default for SlotSet {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl SlotSet {
    /// Every slot.
    #[must_use]
    pub fn all() -> Self {
        Self([u64::MAX; WORDS])
    }

    /// Adds a slot; whether it was new. Numbers that are no slot are not.
    pub fn insert(&mut self, slot: u16) -> bool {
        let Some((word, bit)) = self.place(slot) else { return false };
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    /// Takes a slot away; whether it was there.
    pub fn remove(&mut self, slot: u16) -> bool {
        let Some((word, bit)) = self.place(slot) else { return false };
        let was = self.0[word] & bit != 0;
        self.0[word] &= !bit;
        was
    }

    /// It is in here.
    #[must_use]
    pub fn contains(&self, slot: u16) -> bool {
        self.place(slot).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// From the lowest.
    #[must_use = "iterators do nothing unless used"]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u16> + use<> {
        self.ranges().into_iter().flat_map(|(first, last)| first..=last)
    }

    /// What is in here but not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for (word, taken) in rest.0.iter_mut().zip(other.0) {
            *word &= !taken;
        }
        rest
    }

    /// First and last slot of each unbroken run.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut ranges = Vec::new();
        let mut from = 0;
        while let Some(first) = self.next(from, true) {
            from = self.next(first, false).unwrap_or(SLOTS);
            ranges.push((first, from - 1));
        }
        ranges
    }

    /// The first slot from this one on that is in here, or that is not.
    fn next(&self, from: u16, is_in: bool) -> Option<u16> {
        let mut seen = u64::MAX << (from % 64);
        for (base, word) in (0..SLOTS).step_by(64).zip(&self.0).skip(usize::from(from / 64)) {
            let bits = if is_in { *word } else { !word } & seen;
            if bits != 0 {
                return u16::try_from(bits.trailing_zeros()).ok().map(|bit| base + bit);
            }
            seen = u64::MAX;
        }
        None
    }

    /// How many there are and where the first of them lie, for a sentence: a move that was cut off leaves hundreds of
    /// runs.
    #[must_use]
    pub fn outline(&self) -> String {
        let ranges = self.ranges();
        let shown = SlotRanges(&ranges[..ranges.len().min(OUTLINED)]);
        let more = if ranges.len() > OUTLINED { ",..." } else { "" };
        let count = self.len();
        format!("{count} slot{} ({shown}{more})", if count == 1 { "" } else { "s" })
    }

    /// Reads `7` or `7-9` and adds it.
    pub fn insert_range(&mut self, text: &str) -> Result<(), Mismatch> {
        let fault = || Mismatch::new("a slot or a range of slots", format!("{text:?}"));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse::<u16>().ok().filter(|slot| *slot < SLOTS);
        let (first, last) = number(first).zip(number(last)).ok_or_else(fault)?;
        if first > last {
            return Err(fault());
        }
        for (base, word) in (0..SLOTS).step_by(64).zip(&mut self.0) {
            if base + 63 >= first && base <= last {
                let from = u64::MAX << first.saturating_sub(base);
                let to = u64::MAX >> (base + 63).saturating_sub(last);
                *word |= from & to;
            }
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the set")]
    fn place(&self, slot: u16) -> Option<(usize, u64)> {
        (slot < SLOTS).then(|| (usize::from(slot / 64), 1 << (slot % 64)))
    }
}

/// Reads what [`fmt::Display`] writes: `0-5460,9000`, or nothing.
impl FromStr for SlotSet {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        let mut set = Self::default();
        let mut ranges = text.split(',').filter(|range| !range.is_empty());
        ranges.try_for_each(|range| set.insert_range(range)).map(|()| set)
    }
}

impl FromIterator<u16> for SlotSet {
    fn from_iter<T: IntoIterator<Item = u16>>(slots: T) -> Self {
        let mut set = Self::default();
        set.extend(slots);
        set
    }
}

impl Extend<u16> for SlotSet {
    fn extend<T: IntoIterator<Item = u16>>(&mut self, slots: T) {
        for slot in slots {
            self.insert(slot);
        }
    }
}

impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SlotRanges(&self.ranges()).fmt(f)
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// Ranges as people read them.
#[derive(Debug)]
pub struct SlotRanges<'a>(pub &'a [(u16, u16)]);

impl fmt::Display for SlotRanges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{
        collection::{btree_set, vec},
        prelude::*,
    };

    use super::*;

    #[test]
    fn an_outline_is_short_whatever_it_tells_of() {
        let outline = |text: &str| text.parse::<SlotSet>().unwrap().outline();
        assert_eq!(outline("7"), "1 slot (7)");
        assert_eq!(outline("0-5,9"), "7 slots (0-5,9)");
        let scattered: SlotSet = (0..SLOTS).step_by(2).collect();
        assert_eq!(scattered.outline(), "8192 slots (0,2,4,6,8,10,...)");
    }

    #[test]
    fn what_is_no_slot_is_refused() {
        let mut set = SlotSet::default();
        for text in ["", "-", "16384", "5-4", "1-", "x", "1-16384", "-1"] {
            assert!(set.insert_range(text).is_err(), "{text}");
        }
        assert_eq!(SlotSet::all().ranges(), [(0, SLOTS - 1)]);
        assert!("0-5,x".parse::<SlotSet>().is_err());
        assert!(!set.insert(SLOTS) && !set.contains(SLOTS) && set.is_empty());
    }

    proptest! {
        #[test]
        fn a_set_is_what_its_text_says(slots in btree_set(0..SLOTS, 0..200), others in btree_set(0..SLOTS, 0..200)) {
            let (set, other): (SlotSet, SlotSet) = (slots.iter().copied().collect(), others.iter().copied().collect());
            prop_assert_eq!(&set.to_string().parse::<SlotSet>().unwrap(), &set);
            prop_assert_eq!(set.len(), slots.len());
            let rest: BTreeSet<u16> = set.without(&other).iter().collect();
            prop_assert_eq!(rest, &slots - &others);
        }

        #[test]
        fn runs_are_their_slots(runs in vec((0..SLOTS, 0..500_u16), 0..9)) {
            let runs: Vec<(u16, u16)> =
                runs.into_iter().map(|(first, more)| (first, (first + more).min(SLOTS - 1))).collect();
            let slots: BTreeSet<u16> = runs.iter().flat_map(|(first, last)| *first..=*last).collect();
            let set: SlotSet = SlotRanges(&runs).to_string().parse().unwrap();
            prop_assert!(set.iter().eq(slots.iter().copied()));
            prop_assert!(set.iter().rev().eq(slots.iter().rev().copied()));
            prop_assert!(set.ranges().windows(2).all(|two| two[0].1 + 1 < two[1].0), "{:?}", set);
        }
    }
}
