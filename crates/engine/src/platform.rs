//! What the engine needs of the place where Redis runs. Small on purpose: whatever one platform can and another
//! cannot stays behind it.

use std::{future::Future, sync::Arc};

use redoubt_api::{CheckedRedis, Event, Key, RedisStatus};
use redoubt_wire::config::{NodeEntry, SentinelEntry, SetConfig};
use secrecy::SecretString;

use crate::world::Counts;

/// A place where members run: this machine, or Kubernetes.
///
/// Guarantees asked of every implementation: each call is idempotent, can be cut off at any point and made again,
/// and never touches data unless it says so.
pub trait Platform: Send + Sync + 'static {
    /// Who the set is and where its members will be reached, for the counts in `redis` (while scaling in, the
    /// engine asks with the counts that still run). Made once and kept: the same answer after every restart.
    fn identify(&self, redis: &CheckedRedis) -> impl Future<Output = Result<Identity, PlatformError>> + Send;

    /// The members that exist now, running or not: also those that were asked for and have no process yet, and
    /// those that are on their way out ([`Member::leaving`]). Called after every change, so it must cost little.
    fn observe(&self, key: &Key) -> impl Future<Output = Result<Vec<Member>, PlatformError>> + Send;

    /// What the resource refers to and cannot be used, each in words for people, with what to do: a Secret whose
    /// password is no password any more. What runs goes on with what it has. Called with every [`Platform::observe`];
    /// a platform that has nothing of the kind has nothing to say.
    fn unfit(&self, _key: &Key) -> impl Future<Output = Result<Vec<String>, PlatformError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Makes the workload be so many members of this template, with this configuration. Members above the counts
    /// are stopped, highest ordinal first; their data stays. A member that runs with an older template is left
    /// as it is: [`Platform::replace`] is for that. A member whose agent has ended is started again. May answer
    /// before members that leave are gone.
    fn apply(&self, workload: &Workload) -> impl Future<Output = Result<(), PlatformError>> + Send;

    /// Stops one member within its grace period and starts it with the workload's template.
    fn replace(
        &self,
        workload: &Workload,
        member: &str,
    ) -> impl Future<Output = Result<(), PlatformError>> + Send;

    /// Has clients find these nodes as the masters, of a cluster one for each shard whose master is known, and shows who is
    /// what. Called whenever something may have changed, also
    /// beside other calls, so it must cost little and write only what differs. A platform whose clients find the master
    /// by themselves has nothing to do.
    fn lead(
        &self,
        _key: &Key,
        _masters: &[String],
    ) -> impl Future<Output = Result<(), PlatformError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Shows status and events to people. Writes only what differs.
    fn publish(
        &self,
        key: &Key,
        publication: &Publication,
    ) -> impl Future<Output = Result<(), PlatformError>> + Send;

    /// The status that was published last, if there is one: how the engine takes up where it, or another, stopped.
    fn published(&self, key: &Key)
    -> impl Future<Output = Result<Option<RedisStatus>, PlatformError>> + Send;

    /// Stops every member and removes what was made for it. Volumes stay if the resource says so.
    fn delete(&self, key: &Key) -> impl Future<Output = Result<(), PlatformError>> + Send;

    /// The token for the agents of this set.
    fn token(&self, key: &Key) -> impl Future<Output = Result<Arc<SecretString>, PlatformError>> + Send;
}

/// What identifies a set for all its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Made once when the resource is first seen.
    pub uid: String,
    /// The data nodes, in ordinal order: shard by shard in a cluster.
    pub nodes: Vec<NodeEntry>,
    /// The Sentinels, in ordinal order; none in `Standalone`.
    pub sentinels: Vec<SentinelEntry>,
}

/// Data node or Sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemberKind {
    /// A data node.
    Node,
    /// A Sentinel.
    Sentinel,
}

/// The place of a node in a cluster. Its name and address follow from it alone, whatever becomes of the other shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// Which shard.
    pub shard: u32,
    /// Which node of the shard.
    pub index: u32,
}

impl Seat {
    /// Above all ordinals of nodes that have no shard, with room for the nodes of one shard between two others.
    const FIRST: u32 = 1 << 16;
    const PER_SHARD: u32 = 1 << 8;

    /// As the ordinal of a member.
    #[must_use]
    pub fn number(self) -> u32 {
        Self::FIRST + self.shard * Self::PER_SHARD + self.index
    }

    /// The seat of this number; `None` for the ordinal of a node that has no shard.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        let place = number.checked_sub(Self::FIRST)?;
        Some(Self { shard: place / Self::PER_SHARD, index: place % Self::PER_SHARD })
    }
}

/// One member as the platform sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `cart-0`, `cart-sentinel-0`.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Its place in the order; of a node in a cluster the number of its [`Seat`].
    pub ordinal: u32,
    /// The template it was started with.
    pub template: String,
    /// Its agent's process (or container) is there.
    pub running: bool,
    /// It is above the counts last applied and being stopped; it will not come back.
    pub leaving: bool,
    /// Why it cannot run, in the platform's words.
    pub trouble: Option<String>,
    /// What takes it down together with others: the zone of its machine or, where there are no zones, the machine. `None`
    /// while nobody knows, and where all members share one.
    pub domain: Option<String>,
}

/// What a set should consist of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The resource.
    pub redis: CheckedRedis,
    /// Data nodes to have now, in each shard of a cluster; while scaling in this is not yet what the resource asks for.
    pub nodes: u32,
    /// Shards to have now; 0 but in a cluster.
    pub shards: u32,
    /// Sentinels to have now.
    pub sentinels: u32,
    /// The configuration for all agents.
    pub config: SetConfig,
    /// Digest of all that takes a new process: image, resources, `restartedAt`.
    pub template: String,
}

impl Workload {
    /// How many members of each kind.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { nodes: self.nodes, shards: self.shards, sentinels: self.sentinels }
    }
}

/// What people and clients see.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The resource's `.status`.
    pub status: RedisStatus,
    /// Events since the last publication.
    pub events: Vec<Event>,
}

/// The platform could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}; {next}")]
pub struct PlatformError {
    /// What was tried, where.
    pub what: String,
    /// Why it failed.
    pub why: String,
    /// What to do next.
    pub next: String,
}
