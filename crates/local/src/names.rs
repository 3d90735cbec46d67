//! Names of members.

use redoubt_engine::platform::{MemberKind, Seat};

/// Between a set's name and the ordinal of a Sentinel.
const SENTINEL: &str = "sentinel";
/// Between a set's name and the shard of a node in a cluster.
const SHARD: &str = "shard";

/// `cart-0`, `cart-shard-0-0`, `cart-sentinel-0`.
pub(crate) fn member_name(set: &str, kind: MemberKind, ordinal: u32) -> String {
    match kind {
        MemberKind::Node => match Seat::of(ordinal) {
            Some(Seat { shard, index }) => format!("{set}-{SHARD}-{shard}-{index}"),
            None => format!("{set}-{ordinal}"),
        },
        MemberKind::Sentinel => format!("{set}-{SENTINEL}-{ordinal}"),
    }
}

/// More shards, or nodes of a shard, than any set has.
const MOST_PLACES: u32 = 100;

/// What a member of this set is, by its name; `None` for any other name.
pub(crate) fn parse_member(set: &str, name: &str) -> Option<(MemberKind, u32)> {
    let rest = name.strip_prefix(set)?.strip_prefix('-')?;
    let (kind, ordinal) = if let Some(rest) = rest.strip_prefix(SENTINEL) {
        (MemberKind::Sentinel, rest.strip_prefix('-')?.parse().ok()?)
    } else if let Some(rest) = rest.strip_prefix(SHARD) {
        let (shard, index) = rest.strip_prefix('-')?.split_once('-')?;
        let place = |text: &str| text.parse().ok().filter(|place| *place < MOST_PLACES);
        (MemberKind::Node, Seat { shard: place(shard)?, index: place(index)? }.number())
    } else {
        (MemberKind::Node, rest.parse().ok()?)
    };
    // One name, one member: "cart-00" and "cart-+0" are nobody.
    (member_name(set, kind, ordinal) == name).then_some((kind, ordinal))
}

/// Safe as the name of a file or folder: what names of Kubernetes objects look like (RFC 1123).
pub(crate) fn is_object_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = name.bytes().next().is_some_and(inner) && name.bytes().last().is_some_and(inner);
    ends && name.len() <= 253 && name.bytes().all(|byte| inner(byte) || byte == b'-' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_member_is() {
        for (name, member) in [
            ("cart-0", Some((MemberKind::Node, 0))),
            ("cart-12", Some((MemberKind::Node, 12))),
            ("cart-sentinel-2", Some((MemberKind::Sentinel, 2))),
            ("cart-shard-2-1", Some((MemberKind::Node, Seat { shard: 2, index: 1 }.number()))),
            ("cart-shard-2", None),
            ("cart-shard-02-1", None),
            ("cart-shard-100-0", None),
            ("cart-65536", None),
            ("cart", None),
            ("cart-", None),
            ("cart-00", None),
            ("cart-+1", None),
            ("cart-sentinel", None),
            ("cart-sentinel-x", None),
            ("cartoon-0", None),
            ("other-0", None),
        ] {
            assert_eq!(parse_member("cart", name), member, "{name}");
        }
        assert_eq!(parse_member("cart-sentinel", "cart-sentinel-0"), Some((MemberKind::Node, 0)));
    }

    #[test]
    fn a_name_never_leaves_its_folder() {
        for good in ["cart", "cart-1", "a.b", "0"] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "-a", "a-", "A", "a b", "ä"] {
            assert!(!is_object_name(bad), "{bad}");
        }
    }
}
