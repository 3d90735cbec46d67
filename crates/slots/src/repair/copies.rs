//! Second copies of keys, as a MIGRATE leaves them when one of its ends dies before the other has its answer.
//!
//! Guarantees: only a copy that nobody is served from is dropped, and only while the owner of the slot has an equal one. A
//! copy that changes between the comparison and its end stays: so a mover of somebody else's, that makes it the only one
//! meanwhile, loses nothing. What clients do to the owner's copy makes no difference: it is the one that counts.
//!
//! Caveats: values are compared as DUMP has them. Equal ones that are encoded in different ways, as a hash of one node that
//! was bigger once, are held for different, and stay.

use redoubt_redis::{Connection, Error, Value};

/// A copy that has come by MIGRATE lives longer than the one it was made of, by as long as it was on its way.
const ON_ITS_WAY_MS: u64 = 10_000;
/// DUMP ends with the version of its format and a checksum.
const FOOTER: usize = 10;
/// Types of values whose elements are in no order: a set, and a hash.
const SET: u8 = 2;
const HASH: u8 = 4;
/// The next command is for a slot that comes.
const ASKING: &[&[u8]] = &[b"ASKING"];

/// Drops those of these keys at a node that does not own their slot, and has it marked as coming, of which the owner has an
/// equal copy. How many.
pub(super) async fn drop_equal(
    holder: &mut Connection,
    owner: &mut Connection,
    names: &[Vec<u8>],
) -> Result<usize, Error> {
    let mut dropped = 0;
    for name in names {
        let kept = watch(holder, name).await?;
        let used = look(owner, name).await?;
        if kept.is_some() && is_same(kept.as_ref(), used.as_ref()) {
            dropped += usize::from(drop_watched(holder, name).await?);
        } else {
            holder.call(&["UNWATCH"]).await?;
        }
    }
    Ok(dropped)
}

/// A value as DUMP has it, and for how many milliseconds it lives yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Copy {
    dump: Vec<u8>,
    lives_for: Option<u64>,
}

/// What a node that serves the key has of it.
async fn look(node: &mut Connection, name: &[u8]) -> Result<Option<Copy>, Error> {
    let [dump, lives_for] = all(node, [&[b"DUMP", name], &[b"PTTL", name]]).await?;
    Ok(copy(&dump, &lives_for))
}

/// The same at a node that takes the slot; from now on it notes whether the key changes.
async fn watch(node: &mut Connection, name: &[u8]) -> Result<Option<Copy>, Error> {
    let commands: [&[&[u8]]; 6] =
        [ASKING, &[b"WATCH", name], ASKING, &[b"DUMP", name], ASKING, &[b"PTTL", name]];
    let [.., dump, _, lives_for] = all(node, commands).await?;
    Ok(copy(&dump, &lives_for))
}

/// False: it has changed.
async fn drop_watched(node: &mut Connection, name: &[u8]) -> Result<bool, Error> {
    let [.., done] = all(node, [ASKING, &[b"MULTI"], &[b"DEL", name], &[b"EXEC"]]).await?;
    Ok(done != Value::Null)
}

/// The answers to all of them, or the first error.
async fn all<const N: usize>(node: &mut Connection, commands: [&[&[u8]]; N]) -> Result<[Value; N], Error> {
    let mut answers = [const { Value::Null }; N];
    let replies = node.pipeline(&commands.map(<[_]>::to_vec)).await?;
    for (answer, reply) in answers.iter_mut().zip(replies) {
        *answer = reply?;
    }
    Ok(answers)
}

fn copy(dump: &Value, lives_for: &Value) -> Option<Copy> {
    Some(Copy { dump: dump.as_bytes().ok()?.to_vec(), lives_for: lives_for.as_u64().ok() })
}

/// Both are there and hold the same, for as long.
fn is_same(one: Option<&Copy>, other: Option<&Copy>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let live_alike = match (one.lives_for, other.lives_for) {
        (None, None) => true,
        (Some(one), Some(other)) => one.abs_diff(other) <= ON_ITS_WAY_MS,
        _ => false,
    };
    live_alike && is_same_value(&one.dump, &other.dump)
}

/// Two servers have the elements of a set, or the fields of a hash, in different orders.
fn is_same_value(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let elements = |dump| sorted(dump).filter(|elements| !elements.is_empty());
    elements(one).is_some_and(|one| elements(other) == Some(one))
}

/// The elements of a value that has them in no order, each with what belongs to it; nothing, if it is another value.
fn sorted(dump: &[u8]) -> Option<Vec<&[u8]>> {
    let (kind, rest) = dump.get(..dump.len().checked_sub(FOOTER)?)?.split_first()?;
    let strings_each = match *kind {
        SET => 1,
        HASH => 2,
        _ => return None,
    };
    let (Length::Of(count), head) = Length::read(rest)? else { return None };
    let mut rest = rest.get(head..)?;
    let mut elements = Vec::new();
    for _ in 0..count {
        let mut size = 0;
        for _ in 0..strings_each {
            size += string_size(rest.get(size..)?)?;
        }
        let (element, behind) = rest.split_at_checked(size)?;
        elements.push(element);
        rest = behind;
    }
    elements.sort_unstable();
    rest.is_empty().then_some(elements)
}

/// What stands before a string in a dump.
enum Length {
    /// So many bytes, or elements.
    Of(usize),
    /// A number in so many bytes.
    Number(usize),
    /// Compressed.
    Compressed,
}

impl Length {
    /// What it says, and how long it is itself.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        Some(match (first >> 6, low) {
            (0, _) => (Self::Of(low), 1),
            (1, _) => (Self::Of(low << 8 | usize::from(*bytes.get(1)?)), 2),
            (2, 0) => {
                let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?);
                (Self::Of(usize::try_from(length).ok()?), 5)
            }
            (2, 1) => {
                let length = u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?);
                (Self::Of(usize::try_from(length).ok()?), 9)
            }
            (3, 0..=2) => (Self::Number(1 << low), 1),
            (3, 3) => (Self::Compressed, 1),
            _ => return None,
        })
    }
}

/// How many bytes a string takes, with its length.
fn string_size(bytes: &[u8]) -> Option<usize> {
    let (length, head) = Length::read(bytes)?;
    match length {
        Length::Of(size) | Length::Number(size) => head.checked_add(size),
        Length::Compressed => {
            let (Length::Of(size), first) = Length::read(bytes.get(head..)?)? else { return None };
            let (Length::Of(_), second) = Length::read(bytes.get(head + first..)?)? else { return None };
            (head + first + second).checked_add(size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(kind: u8, strings: &[&[u8]], elements: u8) -> Vec<u8> {
        let mut dump = vec![kind, elements];
        dump.extend(strings.concat());
        // Of which the checksum tells the order.
        let checksum = strings.iter().fold(7_u64, |sum, string| sum.rotate_left(5) ^ string.len() as u64);
        dump.extend([9, 0]);
        dump.extend(checksum.to_le_bytes());
        dump
    }

    const A: &[u8] = b"\x01a";
    const LONG: &[u8] = b"\x40\x03xyz";
    const NUMBER: &[u8] = b"\xc1\x10\x27";
    const COMPRESSED: &[u8] = b"\xc3\x04\x0aabcd";

    #[test]
    fn elements_have_no_order_and_each_keeps_what_belongs_to_it() {
        let set = |strings: &[&[u8]]| dump(SET, strings, 4);
        assert!(is_same_value(&set(&[A, LONG, NUMBER, COMPRESSED]), &set(&[COMPRESSED, NUMBER, A, LONG])));
        assert!(!is_same_value(&set(&[A, LONG, NUMBER, COMPRESSED]), &set(&[COMPRESSED, NUMBER, A, A])));
        let hash = |strings: &[&[u8]]| dump(HASH, strings, 2);
        assert!(is_same_value(&hash(&[A, LONG, NUMBER, A]), &hash(&[NUMBER, A, A, LONG])));
        assert!(!is_same_value(&hash(&[A, LONG, NUMBER, A]), &hash(&[NUMBER, LONG, A, A])));
        // The elements of a list have an order.
        assert!(!is_same_value(&dump(1, &[A, LONG], 2), &dump(1, &[LONG, A], 2)));
    }

    #[test]
    fn what_cannot_be_read_is_not_the_same() {
        let whole = dump(SET, &[A, LONG], 2);
        let swapped = dump(SET, &[LONG, A], 2);
        assert!(is_same_value(&whole, &swapped));
        for end in 3..whole.len() {
            assert!(!is_same_value(&whole[..end], &swapped[..end]), "{end}");
        }
        assert!(!is_same_value(&dump(SET, &[A, LONG], 3), &dump(SET, &[LONG, A], 3)));
    }

    #[test]
    fn a_copy_lives_as_long_as_the_other_or_a_little_longer() {
        let copy = |lives_for| Copy { dump: b"x".to_vec(), lives_for };
        let is_same = |one, other| is_same(Some(&copy(one)), Some(&copy(other)));
        assert!(is_same(None, None) && is_same(Some(90_000), Some(90_300)));
        assert!(!is_same(None, Some(90_000)) && !is_same(Some(90_000), Some(190_000)));
        assert!(!super::is_same(Some(&copy(None)), None));
    }
}
