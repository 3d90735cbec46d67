//! `RedisFailover` (`databases.spotahome.com/v1`), the resource of the archived spotahome operator and of its forks: as
//! people wrote it, and as the `Redis` it amounts to.

mod as_it_is;
mod bootstrap;
mod directives;
mod metadata;
mod pods;
mod raw;
mod sentinel;
mod storage;
#[cfg(test)]
mod tests;
mod translate;
mod unhonoured;

pub use directives::{Written, is_free, written};
pub use raw::{
    Annotated, BootstrapSettings, Claim, ClaimSpec, CommandRename, EmptyDir, Exporter, FailoverAuth,
    FailoverMetadata, FailoverResources, FailoverStorage, LocalObject, MaxMemory, NamespaceLabel, Open,
    Others, RedisFailover, RedisFailoverSpec, RedisSettings, SentinelSettings,
};
pub use translate::{Surroundings, Translation, run, translate};

/// `apiVersion` of a [`RedisFailover`].
pub const FAILOVER_API_VERSION: &str = "databases.spotahome.com/v1";
/// `kind` of a [`RedisFailover`].
pub const FAILOVER_KIND: &str = "RedisFailover";
/// Plural of the resource, in lower case.
pub const FAILOVER_PLURAL: &str = "redisfailovers";
