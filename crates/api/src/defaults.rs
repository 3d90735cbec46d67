//! Every default, in one place.

use std::time::Duration;

use crate::raw::{AccessMode, Engine, Fsync, ImagePullPolicy, Mode};

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const MODE: Mode = Mode::Sentinel;
pub(crate) const ENGINE: Engine = Engine::Redis;
pub(crate) const IMAGE_PULL_POLICY: ImagePullPolicy = ImagePullPolicy::IfNotPresent;
/// One may be lost, and one that is being replaced leaves a copy in sync.
pub(crate) const REPLICAS: u32 = 3;
pub(crate) const TERMINATION_GRACE_PERIOD: Duration = Duration::from_secs(30);

/// The fewest masters of which a majority survives the loss of one.
pub(crate) const SHARDS: u32 = 3;
pub(crate) const REPLICAS_PER_SHARD: u32 = 1;
/// As `DOWN_AFTER`: a master that crashes is replaced at once and does not wait for this.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_secs(5);

/// The least number of which a majority survives the loss of one.
pub(crate) const SENTINELS: u32 = 3;
pub(crate) const MASTER_NAME: &str = "mymaster";
pub(crate) const DOWN_AFTER: Duration = Duration::from_secs(5);
/// A vote that led nowhere holds the next one back for twice this long: not the server's own 180 s.
pub(crate) const FAILOVER_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const PARALLEL_SYNCS: u32 = 1;

/// What a server of version 7 and later has by itself.
pub(crate) const RDB_SAVE: &str = "3600 1 300 100 60 10000";
pub(crate) const AOF_ENABLED: bool = true;
pub(crate) const AOF_FSYNC: Fsync = Fsync::Everysec;
pub(crate) const VOLUME_SIZE: &str = "1Gi";
pub(crate) const ACCESS_MODE: AccessMode = AccessMode::ReadWriteOnce;
pub(crate) const KEEP_AFTER_DELETION: bool = true;

pub(crate) const AUTH_ENABLED: bool = true;
pub(crate) const METRICS_ENABLED: bool = true;
pub(crate) const MIN_REPLICAS_TO_WRITE: u32 = 0;
pub(crate) const RECOVERY_DEADLINE: Duration = Duration::from_mins(1);

/// More than half.
pub(crate) fn quorum(sentinels: u32) -> u32 {
    sentinels / 2 + 1
}

/// A replica reports once a second, so 3 s is three reports. The fence closes 0.6 s after the lag is reached
/// (measured) and has to be closed before `down_after`: hence a second below it.
pub(crate) fn max_replica_lag(down_after: Duration) -> Duration {
    Duration::from_secs(down_after.as_secs().saturating_sub(1).clamp(1, 3))
}

/// A frozen server has to be ended before the Sentinels replace it at `down_after`, so that it cannot wake up as a second
/// master. 3 s, because at 1 s healthy servers were held for dead.
pub(crate) fn hang_limit(down_after: Duration) -> Duration {
    (down_after * 3 / 5).min(Duration::from_secs(3))
}
