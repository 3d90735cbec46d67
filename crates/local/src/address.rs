//! Addresses of members: every set has a block of its own, found once and kept.
//!
//! A block is either 250 addresses of the loopback network with the standard ports, or a row of ports on 127.0.0.1
//! where there are no more loopback addresses. Which address a member has follows from the block and its ordinal
//! alone, so that members that are added later, or come back, are where everybody expects them.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
};

use redoubt_engine::Counts;
use redoubt_engine::platform::{MemberKind, Seat};
use redoubt_redis::Endpoint;
use redoubt_wire::AGENT_PORT;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpSocket;

/// Port of a data node's server, where every member has an address of its own.
const REDIS_PORT: u16 = 6379;
/// Port of a Sentinel's server, where every member has an address of its own.
const SENTINEL_PORT: u16 = 26379;

/// Members of a kind in a block of addresses: nodes end in 1 to 100, Sentinels in 101 to 200.
const ADDRESSES_PER_KIND: u16 = 100;
/// Shards of a cluster that have a place in a block of addresses: their first nodes end in 1 to 20, the second ones in 21
/// to 40, and so on.
const SHARDS_PER_BLOCK: u16 = 20;
/// Last byte of the address that says that a block is in use, beyond those of all members.
const CLAIM_HOST: u8 = 250;

/// Members of a kind in a row of ports.
const PORTS_PER_KIND: u16 = 16;
/// Ports of a row: servers and agents of two kinds.
const PORTS_PER_BLOCK: u16 = 4 * PORTS_PER_KIND;
/// First port used for rows.
const FIRST_PORT: u16 = 10_000;
/// Rows below the ports that systems give to outgoing connections (from 32768 on Linux, 49152 on macOS).
const PORT_BLOCKS: u16 = (32_768 - FIRST_PORT) / PORTS_PER_BLOCK;

/// Where the members of one set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Block {
    /// `127.a.b.*` with the standard ports.
    Addresses(u8, u8),
    /// Ports of 127.0.0.1 from this one on.
    Ports(u16),
}

/// Where one member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its server.
    pub(crate) server: SocketAddrV4,
    /// Its agent.
    pub(crate) agent: SocketAddrV4,
}

impl Place {
    pub(crate) fn server_endpoint(&self) -> Endpoint {
        endpoint(self.server)
    }

    pub(crate) fn agent_endpoint(&self) -> Endpoint {
        endpoint(self.agent)
    }
}

pub(crate) fn endpoint(address: SocketAddrV4) -> Endpoint {
    Endpoint::new(address.ip().to_string(), address.port())
}

impl Block {
    /// Which block to try at an attempt: anywhere, but the same for the same uid.
    ///
    /// `127.0.*` is left to what systems put there: 127.0.0.1, 127.0.0.53, 127.0.1.1.
    pub(crate) fn candidate(uid: &str, attempt: u32, single_address: bool) -> Self {
        let digest = Sha256::digest(format!("{uid}/{attempt}").as_bytes());
        if single_address {
            let number = u16::from_be_bytes([digest[0], digest[1]]) % PORT_BLOCKS;
            Self::Ports(FIRST_PORT + number * PORTS_PER_BLOCK)
        } else {
            Self::Addresses(1 + digest[0] % 254, digest[1])
        }
    }

    /// Members of a kind that have a place here.
    pub(crate) fn limit(self) -> u32 {
        match self {
            Self::Addresses(..) => u32::from(ADDRESSES_PER_KIND),
            Self::Ports(_) => u32::from(PORTS_PER_KIND),
        }
    }

    /// Where a member is; `None` beyond [`Block::limit`], and for the nodes of a cluster in a row of ports, which has none
    /// for the bus.
    pub(crate) fn place(self, kind: MemberKind, ordinal: u32) -> Option<Place> {
        let ordinal = match (Seat::of(ordinal), self) {
            (None, _) => ordinal,
            (Some(Seat { shard, index }), Self::Addresses(..)) if shard < u32::from(SHARDS_PER_BLOCK) => {
                index * u32::from(SHARDS_PER_BLOCK) + shard
            }
            (Some(_), _) => return None,
        };
        let ordinal = u16::try_from(ordinal).ok().filter(|ordinal| u32::from(*ordinal) < self.limit())?;
        Some(match self {
            Self::Addresses(a, b) => {
                let (first, port) = match kind {
                    MemberKind::Node => (1, REDIS_PORT),
                    MemberKind::Sentinel => (1 + ADDRESSES_PER_KIND, SENTINEL_PORT),
                };
                let host = Ipv4Addr::new(127, a, b, u8::try_from(first + ordinal).ok()?);
                Place { server: SocketAddrV4::new(host, port), agent: SocketAddrV4::new(host, AGENT_PORT) }
            }
            Self::Ports(first) => {
                let server = first
                    + ordinal
                    + match kind {
                        MemberKind::Node => 0,
                        MemberKind::Sentinel => 2 * PORTS_PER_KIND,
                    };
                let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
                Place { server: at(server), agent: at(server + PORTS_PER_KIND) }
            }
        })
    }

    /// Says to every other engine of this machine that the block is in use, until it is dropped or this process
    /// ends. Only one can have it.
    pub(crate) fn claim(self) -> io::Result<Claim> {
        let address = match self {
            Self::Addresses(a, b) => SocketAddrV4::new(Ipv4Addr::new(127, a, b, CLAIM_HOST), AGENT_PORT),
            Self::Ports(first) => SocketAddrV4::new(Ipv4Addr::LOCALHOST, first),
        };
        UdpSocket::bind(address).map(Claim)
    }

    /// Nobody listens where the first members belong. Those added later are looked at when they start.
    pub(crate) fn probe(self, counts: Counts) -> io::Result<()> {
        let of = |kind| counts.ordinals(kind).filter_map(move |ordinal| self.place(kind, ordinal));
        for place in of(MemberKind::Node).chain(of(MemberKind::Sentinel)) {
            can_listen(place.server)?;
            can_listen(place.agent)?;
        }
        Ok(())
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(a, b) => write!(f, "127.{a}.{b}.0/24"),
            Self::Ports(first) => write!(f, "127.0.0.1:{first} to {}", first + PORTS_PER_BLOCK - 1),
        }
    }
}

/// A block that is ours.
#[derive(Debug)]
pub(crate) struct Claim(#[expect(dead_code, reason = "held, never used")] UdpSocket);

/// Whether somebody could listen here now. The socket never listens itself, so that no client can meet it.
pub(crate) fn can_listen(address: SocketAddrV4) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // As servers do: connections of the past in TIME_WAIT are in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())
}

/// This system has loopback addresses beyond 127.0.0.1.
pub(crate) fn many_addresses() -> bool {
    UdpSocket::bind((Ipv4Addr::new(127, 254, 254, CLAIM_HOST), 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::TcpListener};

    use super::*;

    fn all(block: Block) -> Vec<SocketAddrV4> {
        [MemberKind::Node, MemberKind::Sentinel]
            .into_iter()
            .flat_map(|kind| (0..block.limit()).map(move |ordinal| block.place(kind, ordinal).unwrap()))
            .flat_map(|place| [place.server, place.agent])
            .collect()
    }

    #[test]
    fn no_two_members_share_an_address() {
        for block in [Block::Addresses(3, 9), Block::Ports(10_064)] {
            let all = all(block);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            assert_eq!(block.place(MemberKind::Node, block.limit()), None);
        }
    }

    #[test]
    fn members_are_where_people_expect_them() {
        let block = Block::Addresses(3, 9);
        let text = |kind, ordinal| {
            let place = block.place(kind, ordinal).unwrap();
            (place.server_endpoint().to_string(), place.agent_endpoint().to_string())
        };
        assert_eq!(text(MemberKind::Node, 0), ("127.3.9.1:6379".to_owned(), "127.3.9.1:9121".to_owned()));
        assert_eq!(
            text(MemberKind::Sentinel, 2),
            ("127.3.9.103:26379".to_owned(), "127.3.9.103:9121".to_owned())
        );
    }

    #[test]
    fn the_nodes_of_every_shard_that_can_be_asked_for_have_an_address_of_their_own() {
        let block = Block::Addresses(3, 9);
        let counts = Counts { nodes: 5, shards: 20, sentinels: 0 };
        let places: BTreeSet<String> = counts
            .ordinals(MemberKind::Node)
            .map(|ordinal| block.place(MemberKind::Node, ordinal).unwrap().server_endpoint().to_string())
            .collect();
        assert_eq!(places.len(), 100);
        assert!(places.contains("127.3.9.1:6379") && places.contains("127.3.9.100:6379"));
        let seat = Seat { shard: 0, index: 0 }.number();
        assert_eq!(Block::Ports(10_064).place(MemberKind::Node, seat), None);
    }

    #[test]
    fn candidates_stay_clear_of_the_first_addresses_and_of_outgoing_ports() {
        for attempt in 0..2000 {
            match Block::candidate("uid", attempt, false) {
                Block::Addresses(a, _) => assert!((1..=254).contains(&a)),
                Block::Ports(_) => panic!("not asked for"),
            }
            let last = all(Block::candidate("uid", attempt, true)).into_iter().map(|at| at.port()).max();
            assert!(last.unwrap() < 32_768);
        }
    }

    #[tokio::test]
    async fn a_block_in_use_is_seen() {
        let block =
            (0..1000).map(|n| Block::candidate("tests", n, false)).find(|b| b.claim().is_ok()).unwrap();
        let claim = block.claim().unwrap();
        assert!(block.claim().is_err(), "only one can have it");
        drop(claim);
        block.claim().unwrap();
        let counts = |sentinels| Counts { nodes: 2, shards: 0, sentinels };
        block.probe(counts(2)).unwrap();
        let place = block.place(MemberKind::Sentinel, 1).unwrap();
        let _listener = TcpListener::bind(place.server).unwrap();
        block.probe(counts(1)).unwrap();
        assert!(block.probe(counts(2)).is_err());
    }
}
