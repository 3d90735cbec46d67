//! Who a set is and where it lives: made once, kept for ever.

use redoubt_api::CheckedRedis;
use redoubt_engine::{
    Counts,
    platform::{Identity, MemberKind, Seat},
};
use redoubt_wire::config::{NodeEntry, SentinelEntry, sentinel_id};
use serde::{Deserialize, Serialize};

use crate::{
    address::{Block, Claim},
    error::LocalError,
    files::{self, Worth},
    names::member_name,
    paths::SetDir,
};

/// Blocks tried before giving up: a thousand sets fill a sixtieth of the blocks of addresses, so that all of these
/// taken means that something else is wrong.
const MAX_ATTEMPTS: u32 = 64;

/// What is kept of a set's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeptIdentity {
    /// Made when the resource is first seen.
    pub(crate) uid: String,
    /// Where its members are.
    pub(crate) block: Block,
    /// Shards that may hold data, in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shards: Option<u32>,
}

impl KeptIdentity {
    /// What was kept; `None` for a set never seen.
    pub(crate) fn load(dir: &SetDir) -> Result<Option<Self>, LocalError> {
        files::read_json(&dir.identity())
    }

    /// Makes a new one with a free block, and keeps it.
    pub(crate) fn make(
        dir: &SetDir,
        redis: &CheckedRedis,
        single_address: bool,
    ) -> Result<(Self, Claim), LocalError> {
        let uid = new_uid()?;
        let (block, claim) = free_block(redis, &uid, single_address)?;
        let identity = Self { uid, block, shards: shards(redis) };
        files::private_dir(dir.root())?;
        identity.keep(dir)?;
        Ok((identity, claim))
    }

    pub(crate) fn keep(&self, dir: &SetDir) -> Result<(), LocalError> {
        files::write_json(&dir.identity(), self, Worth::Lasting).map(|_| ())
    }

    /// The members of a resource.
    pub(crate) fn entries(&self, redis: &CheckedRedis) -> Result<Identity, LocalError> {
        let name = &redis.key.name;
        let place = |kind, ordinal, asked| {
            self.block.place(kind, ordinal).ok_or_else(|| LocalError::TooMany {
                name: name.clone(),
                what: match kind {
                    MemberKind::Node => "nodes",
                    MemberKind::Sentinel => "Sentinels",
                },
                asked,
                limit: self.block.limit(),
            })
        };
        if redis.cluster().is_some() && matches!(self.block, Block::Ports(_)) {
            return Err(LocalError::OneAddress { name: name.clone() });
        }
        if let Some(faults) = self.out_of_reach(redis) {
            return Err(LocalError::Unchangeable { name: name.clone(), faults });
        }
        let counts = Counts::wanted(redis);
        let (nodes, sentinels) = (counts.total(MemberKind::Node), counts.sentinels);
        let node = |ordinal| {
            let place = place(MemberKind::Node, ordinal, nodes)?;
            Ok(NodeEntry {
                name: member_name(name, MemberKind::Node, ordinal),
                shard: Seat::of(ordinal).map(|seat| seat.shard),
                server: place.server_endpoint(),
                agent: place.agent_endpoint(),
            })
        };
        let sentinel = |ordinal| {
            let place = place(MemberKind::Sentinel, ordinal, sentinels)?;
            let name = member_name(name, MemberKind::Sentinel, ordinal);
            Ok(SentinelEntry {
                id: sentinel_id(&self.uid, &name),
                name,
                server: place.server_endpoint(),
                agent: place.agent_endpoint(),
            })
        };
        Ok(Identity {
            uid: self.uid.clone(),
            nodes: counts.ordinals(MemberKind::Node).map(node).collect::<Result<_, LocalError>>()?,
            sentinels: (0..sentinels).map(sentinel).collect::<Result<_, LocalError>>()?,
        })
    }
}

impl KeptIdentity {
    /// The nodes of this resource would not be all that hold the set's data. Those of a set that runs are never fewer:
    /// they leave when they hold nothing any more.
    fn out_of_reach(&self, redis: &CheckedRedis) -> Option<String> {
        match (self.shards, shards(redis)) {
            (Some(kept), Some(wanted)) if wanted < kept => Some(format!(
                "spec.shards: its data is in {kept} shards, not in {wanted}; write {kept}, and {wanted} once it runs"
            )),
            (Some(_), None) => Some("spec.mode: its data is that of a cluster".to_owned()),
            (None, Some(_)) => Some("spec.mode: its data is not that of a cluster".to_owned()),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }
}

fn shards(redis: &CheckedRedis) -> Option<u32> {
    redis.cluster().map(|cluster| cluster.shards)
}

/// Claimed first, then looked at: two engines that look at the same time cannot both take it.
fn free_block(redis: &CheckedRedis, uid: &str, single_address: bool) -> Result<(Block, Claim), LocalError> {
    let counts = Counts::wanted(redis);
    let mut last = String::new();
    for attempt in 0..MAX_ATTEMPTS {
        let block = Block::candidate(uid, attempt, single_address);
        match block.claim().and_then(|claim| block.probe(counts).map(|()| claim)) {
            Ok(claim) => return Ok((block, claim)),
            Err(error) => last = format!("{block}: {error}"),
        }
    }
    Err(LocalError::NoAddresses { name: redis.key.name.clone(), tried: MAX_ATTEMPTS as usize, last })
}

/// As UUIDs of version 4 look.
fn new_uid() -> Result<String, LocalError> {
    use rand::TryRng as _;
    let mut bytes = [0_u8; 16];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| LocalError::Random(error.to_string()))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}
