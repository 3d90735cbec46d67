//! The fence of a shard: a master that hears no majority of the masters stops before they may elect another.
//!
//! A node pings every other one of which nobody has heard for half of the node timeout, and holds those for lost that
//! leave a ping without answer for a whole one (cluster.c `clusterCron`). Both sides of a cut count by their own pings: a
//! master that is cut off goes on for up to one and a half node timeouts, while the others may elect after one. What it
//! acknowledged meanwhile is lost when it comes back.
//!
//! Caveat: a node takes over from gossip when others have heard of a third one (`clusterProcessGossipSection`). A master
//! that is cut off from the other masters, but not from a node that reaches them, learns of it later, by its own pings.

use std::time::Duration;

use redoubt_election::Moment;
use redoubt_redis::cluster::ClusterNodes;

/// The part of the node timeout after which a node whose last answer is older is not in reach: half of it is usual.
const SILENT_TENTHS: u32 = 7;
/// Looks in one node timeout. With the second one, that has to say the same, the fence is closed after nine tenths, and as
/// long as it takes to ask the server; the others need a whole one, and half a second more to elect.
const LOOKS: u32 = 10;
/// A server that stood still for a while has old answers only, and gets new ones within milliseconds.
const UNHEARD_LOOKS: u32 = 2;
/// How long a majority has to be in reach again: whoever was elected meanwhile has said so by then.
const HEARD_FOR: Duration = Duration::from_secs(1);

/// Between two looks.
pub(crate) fn look_again(node_timeout: Duration) -> Duration {
    node_timeout / LOOKS
}

/// This node owns slots.
pub(crate) fn leads(nodes: &ClusterNodes) -> bool {
    nodes.myself.is_master() && !nodes.myself.slots.is_empty()
}

/// A majority of the masters that own slots, this one included, has answered its server of late. `now`: as the servers count
/// it, in milliseconds since 1970.
pub(crate) fn hears_majority(nodes: &ClusterNodes, now: i64, node_timeout: Duration) -> bool {
    let silence = node_timeout * SILENT_TENTHS / 10;
    let silence = i64::try_from(silence.as_millis()).unwrap_or(i64::MAX);
    let others = nodes.others.iter().filter(|node| node.is_master() && !node.slots.is_empty());
    let (mut masters, mut heard) = (1, 1);
    for other in others {
        masters += 1;
        heard += u32::from(now.saturating_sub(other.answered_at) < silence);
    }
    2 * heard > masters
}

/// Whether the fence is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShardFence {
    /// The master takes writes; so many looks have found no majority.
    Open { unheard: u32 },
    /// It takes none; since when there is a majority again.
    Closed { heard_since: Option<Moment> },
}

impl ShardFence {
    /// As a master begins.
    pub(crate) const OPEN: Self = Self::Open { unheard: 0 };

    /// What it is after this look at a master.
    pub(crate) fn after(self, heard: bool, now: Moment) -> Self {
        match self {
            Self::Open { .. } if heard => Self::OPEN,
            Self::Open { unheard } if unheard + 1 < UNHEARD_LOOKS => Self::Open { unheard: unheard + 1 },
            Self::Open { .. } => Self::Closed { heard_since: None },
            Self::Closed { heard_since } => {
                let since = heard.then(|| heard_since.unwrap_or(now));
                if since.is_some_and(|since| now.since(since) >= HEARD_FOR) {
                    Self::OPEN
                } else {
                    Self::Closed { heard_since: since }
                }
            }
        }
    }

    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// The next look may close it.
    pub(crate) fn is_in_doubt(self) -> bool {
        matches!(self, Self::Open { unheard: 1.. })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const NODE_TIMEOUT: Duration = Duration::from_secs(5);
    const NOW: i64 = 1_700_000_000_000;

    /// This node, and the others: since when each has been silent, in milliseconds, and its slots.
    fn nodes(others: &[(i64, &str, &str)]) -> ClusterNodes {
        let id = |number: usize| format!("{number:040x}");
        let mut text = format!("{} 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460\n", id(1));
        for (number, (silent, role, slots)) in others.iter().enumerate() {
            let (id, at) = (id(number + 2), NOW - silent);
            writeln!(text, "{id} 10.0.1.{number}:6379@16379 {role} - 0 {at} 2 connected {slots}").unwrap();
        }
        ClusterNodes::parse(&text).unwrap()
    }

    #[test]
    fn a_majority_is_of_the_masters_with_slots() {
        let (b, c) = ("5461-10922", "10923-16383");
        let cases = [
            ("both", nodes(&[(100, "master", b), (2600, "master", c)]), true),
            ("one", nodes(&[(100, "master", b), (60_000, "master,fail", c)]), true),
            ("none", nodes(&[(3500, "master", b), (3500, "master,fail?", c)]), false),
            (
                "a replica is no master",
                nodes(&[(10, "slave", ""), (9000, "master", b), (9000, "master", c)]),
                false,
            ),
            (
                "nor is who owns nothing",
                nodes(&[(10, "master", ""), (9000, "master", b), (9000, "master", c)]),
                false,
            ),
            (
                "two of four are none",
                nodes(&[(10, "master", "1"), (9000, "master", "2"), (9000, "master", "3")]),
                false,
            ),
            ("alone in the world", nodes(&[]), true),
        ];
        for (what, nodes, heard) in cases {
            assert_eq!(hears_majority(&nodes, NOW, NODE_TIMEOUT), heard, "{what}");
        }
    }

    #[test]
    fn it_closes_at_the_second_look_and_opens_when_the_majority_stays() {
        let looks = [
            (0, true, false),
            (500, false, false),
            (1000, true, false),
            (1500, false, false),
            (2000, false, true),
            (2500, true, true),
            (3000, false, true),
            (3500, true, true),
            (4000, true, true),
            (4500, true, false),
            (5000, false, false),
        ];
        let mut fence = ShardFence::OPEN;
        for (at, heard, closed) in looks {
            fence = fence.after(heard, Moment::ms(at));
            assert_eq!(fence.is_closed(), closed, "at {at} ms: {fence:?}");
        }
    }

    #[test]
    fn it_is_closed_before_another_may_lead() {
        let last_look = NODE_TIMEOUT * SILENT_TENTHS / 10 + look_again(NODE_TIMEOUT) * UNHEARD_LOOKS;
        assert!(last_look < NODE_TIMEOUT);
    }
}
