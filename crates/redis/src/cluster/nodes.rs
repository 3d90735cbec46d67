//! CLUSTER NODES: one line a node, as the asked node sees it.

use std::{fmt, str::FromStr};

use super::SlotSet;
use crate::{endpoint::Endpoint, value::Mismatch};

/// Forty hexadecimal digits that a node keeps for life.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(String);

/// What one node says about all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNodes {
    /// Who was asked.
    pub myself: ClusterNode,
    /// The nodes it knows.
    pub others: Vec<ClusterNode>,
}

/// One node in the words of another, or in its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Who.
    pub id: NodeId,
    /// Where; the host is empty when the node does not know its own address yet.
    pub endpoint: Endpoint,
    /// What it is.
    pub flags: Vec<Flag>,
    /// Whom it follows.
    pub master: Option<NodeId>,
    /// When it last answered a ping of the asked node, in milliseconds since 1970; 0: never, or it is the asked node.
    pub answered_at: i64,
    /// Epoch of its slots.
    pub config_epoch: u64,
    /// The link of the bus is up.
    pub link_up: bool,
    /// What it owns.
    pub slots: SlotSet,
    /// Slots on their way; told of the asked node only.
    pub open: Vec<OpenSlot>,
}

/// A slot on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSlot {
    /// Which.
    pub slot: u16,
    /// Which way.
    pub kind: OpenSlotKind,
    /// To or from whom.
    pub peer: NodeId,
}

/// Which way a slot is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenSlotKind {
    /// Its keys go to the peer.
    Migrating,
    /// Its keys come from the peer.
    Importing,
}

/// What a node is, in the asked node's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag {
    /// The asked node.
    Myself,
    /// It may own slots.
    Master,
    /// It follows a master.
    Replica,
    /// It did not answer in time.
    MaybeFailed,
    /// A majority says so.
    Failed,
    /// It has not introduced itself yet.
    Handshake,
    /// Its address is not known.
    NoAddress,
    /// `nofailover`, `noflags`, or what a later version may say.
    Other(String),
}

impl ClusterNodes {
    /// Reads the text of the reply.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let mut nodes = lines.map(ClusterNode::parse).collect::<Result<Vec<_>, _>>()?;
        let myself = nodes.iter().position(|node| node.has(&Flag::Myself));
        let myself = myself.ok_or_else(|| Mismatch::new("a line with `myself`", "none"))?;
        Ok(Self { myself: nodes.swap_remove(myself), others: nodes })
    }

    /// Everybody, the asked node first.
    pub fn all(&self) -> impl Iterator<Item = &ClusterNode> {
        std::iter::once(&self.myself).chain(&self.others)
    }
}

impl ClusterNode {
    fn parse(line: &str) -> Result<Self, Mismatch> {
        let fault = |what: &str| Mismatch::new(format!("{what} in CLUSTER NODES"), format!("{line:?}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, address, flags, master, _, answered_at, epoch, connected, owned @ ..] = &words[..] else {
            return Err(fault("eight fields"));
        };
        let mut parsed = Self {
            id: id.parse()?,
            endpoint: endpoint(address).ok_or_else(|| fault("host:port@port"))?,
            flags: flags.split(',').map(Flag::parse).collect(),
            master: if *master == "-" { None } else { Some(master.parse()?) },
            answered_at: answered_at.parse().map_err(|_| fault("a time"))?,
            config_epoch: epoch.parse().map_err(|_| fault("an epoch"))?,
            link_up: *connected == "connected",
            slots: SlotSet::default(),
            open: Vec::new(),
        };
        for word in owned {
            match word.strip_prefix('[') {
                Some(open) => parsed.open.extend(OpenSlot::parse(open)?),
                None => parsed.slots.insert_range(word)?,
            }
        }
        Ok(parsed)
    }

    /// It has this flag.
    #[must_use]
    pub fn has(&self, flag: &Flag) -> bool {
        self.flags.contains(flag)
    }

    /// It may own slots.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.has(&Flag::Master)
    }

    /// Somebody could talk to it: it has an address, introduced itself, and is not failed.
    #[must_use]
    pub fn is_there(&self) -> bool {
        ![Flag::Failed, Flag::Handshake, Flag::NoAddress].iter().any(|flag| self.has(flag))
    }
}

impl OpenSlot {
    /// `7->-ID]`, `7-<-ID]`; Valkey 9 marks slots of its own migration by other letters, which are none of these.
    fn parse(text: &str) -> Result<Option<Self>, Mismatch> {
        let fault = || Mismatch::new("an open slot", format!("{text:?}"));
        let text = text.strip_suffix(']').ok_or_else(fault)?;
        let arrows = [("->-", OpenSlotKind::Migrating), ("-<-", OpenSlotKind::Importing)];
        let Some(((slot, peer), kind)) =
            arrows.iter().find_map(|(arrow, kind)| Some((text.split_once(arrow)?, *kind)))
        else {
            return Ok(None);
        };
        let slot = slot.parse().ok().filter(|slot| *slot < super::SLOTS).ok_or_else(fault)?;
        Ok(Some(Self { slot, kind, peer: peer.parse()? }))
    }
}

impl Flag {
    fn parse(word: &str) -> Self {
        match word {
            "myself" => Self::Myself,
            "master" | "primary" => Self::Master,
            "slave" | "replica" => Self::Replica,
            "fail?" => Self::MaybeFailed,
            "fail" => Self::Failed,
            "handshake" => Self::Handshake,
            "noaddr" => Self::NoAddress,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// `host:port@bus,hostname,…`; the address is what nodes reach each other by.
fn endpoint(text: &str) -> Option<Endpoint> {
    let address = text.split(',').next()?.split('@').next()?;
    let (host, port) = address.rsplit_once(':')?;
    Some(Endpoint::new(host, port.parse().ok()?))
}

impl NodeId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it to tell nodes apart.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl AsRef<[u8]> for NodeId {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        let is_id = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(Mismatch::new("a node id of 40 hexadecimal digits", format!("{text:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "b3495165167babd2d9935b99e239ae5d3634be57";
    const B: &str = "07c37dfeb235213a872192d90877d0cd55635b91";

    #[test]
    fn a_reply_says_who_owns_what_and_what_is_on_its_way() {
        let text = format!(
            "{A} 10.0.0.1:6379@16379,host-1,shard-id=x myself,master - 0 0 3 connected 0-5460 9000 [7->-{B}] [8-<-{B}]\n\
             {B} 2001:db8::1:6380@16380 slave,fail? {A} 0 1 3 disconnected\n"
        );
        let nodes = ClusterNodes::parse(&text).unwrap();
        let myself = &nodes.myself;
        assert_eq!((myself.slots.to_string().as_str(), myself.config_epoch), ("0-5460,9000", 3));
        assert_eq!(myself.endpoint, Endpoint::new("10.0.0.1", 6379));
        let open: Vec<_> = myself.open.iter().map(|open| (open.slot, open.kind)).collect();
        assert_eq!(open, [(7, OpenSlotKind::Migrating), (8, OpenSlotKind::Importing)]);
        let other = &nodes.others[0];
        assert_eq!(other.endpoint, Endpoint::new("2001:db8::1", 6380));
        assert!(!other.link_up && other.has(&Flag::MaybeFailed) && other.is_there() && !other.is_master());
        assert_eq!(other.master.as_ref(), Some(&myself.id));
    }

    #[test]
    fn what_is_no_line_of_it_is_told() {
        let cases = [
            String::new(),
            format!("{A} 10.0.0.1:6379@16379 master - 0 0 3 connected"),
            format!("{A} 10.0.0.1 myself,master - 0 0 3 connected"),
            format!("{A} 10.0.0.1:1@2 myself,master - 0 0 3 connected 5-4"),
            format!("{A} 10.0.0.1:1@2 myself,master - 0 0 3 connected [99999->-{B}]"),
            "short 10.0.0.1:1@2 myself,master - 0 0 3 connected".to_owned(),
        ];
        for text in cases {
            assert!(ClusterNodes::parse(&text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_to_be_read(text in ".{0,200}") {
            let _ = ClusterNodes::parse(&text);
        }
    }
}
