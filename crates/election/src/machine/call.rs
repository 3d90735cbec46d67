//! What the machine asks for, and what it is told.

use std::time::Duration;

use redoubt_redis::Endpoint;

use super::sight::{NodeSight, SentinelSight};
use crate::Moment;

/// Where a call goes: an index into the set's Sentinels or nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Sentinel(usize),
    Node(usize),
}

/// One thing to do. Every call is answered exactly once, by [`Answer::Lost`] if need be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) place: Place,
    pub(crate) ask: Ask,
    /// Time-out, connecting included.
    pub(crate) within: Duration,
    /// Not sent after this moment: lost instead.
    pub(crate) not_after: Option<Moment>,
}

/// What is asked. Everything can be asked twice with the same result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// `SENTINEL MASTER`, `SENTINELS`, `REPLICAS`, `GET-MASTER-ADDR-BY-NAME`: [`Answer::Sentinel`].
    Sentinel,
    /// `INFO`: [`Answer::Node`].
    Node,
    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR`: [`Answer::Vote`].
    Vote { master: Endpoint, epoch: u64, candidate: String },
    /// `CLIENT PAUSE … WRITE`: [`Answer::Done`].
    Pause { hold: Duration },
    /// `CLIENT UNPAUSE`: [`Answer::Done`].
    Unpause,
    /// The fence closed, `REPLICAOF NO ONE`, then `INFO`: [`Answer::Node`].
    Promote { min_replicas: u32 },
    /// `REPLICAOF`: [`Answer::Done`].
    Follow { master: Endpoint },
    /// `PUBLISH __sentinel__:hello`, then `GET-MASTER-ADDR-BY-NAME`: [`Answer::Names`].
    Announce { hello: String },
    /// `GET-MASTER-ADDR-BY-NAME`: [`Answer::Names`].
    Count,
    /// The same channel at a node, where every Sentinel listens: [`Answer::Done`].
    AnnounceAtNode { hellos: Vec<String> },
    /// The fence at a node that a majority names: [`Answer::Done`].
    Fence { min_replicas: u32 },
    /// `CLIENT UNPAUSE`, `CLIENT KILL TYPE normal`: [`Answer::Done`].
    Release,
    /// `SENTINEL FAILOVER`: [`Answer::Done`].
    SentinelFailover,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Sentinel(SentinelSight),
    Node(NodeSight),
    Vote(VoteReply),
    Names(Option<Endpoint>),
    Done,
    /// The server said no, in these words.
    Refused(String),
    /// No answer, or not sent. What was asked may have happened all the same.
    Lost(String),
}

/// Whom a Sentinel voted for, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VoteReply {
    pub(crate) leader: Option<String>,
    pub(crate) epoch: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Start,
    Answer {
        id: u32,
        place: Place,
        answer: Answer,
    },
    /// The moment of [`super::Machine::wake_at`] has come.
    Time,
}

impl Answer {
    /// What stood in the way, for people.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Lost(why) => why,
            Self::Node(_) => "it reports another role",
            _ => "an answer to another question",
        }
    }
}
