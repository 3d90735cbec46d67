//! The platform behind limits: so many calls at once, and a deadline on each. One Redis whose calls hang must not hold
//! up the others, so what takes long has places of its own.

use std::{future::Future, sync::Arc, time::Duration};

use redoubt_api::{CheckedRedis, Key, RedisStatus};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use crate::platform::{Identity, Member, Platform, PlatformError, Publication, Workload};

/// Calls that look or write a little, at the same time over all Redis.
const QUICK: usize = 32;
/// Calls that start or stop processes, at the same time over all Redis.
const SLOW: usize = 64;
/// A call that looks or writes a little.
const QUICK_DEADLINE: Duration = Duration::from_secs(15);
/// A call that starts or stops processes, beside the grace period of what it stops.
const SLOW_DEADLINE: Duration = Duration::from_mins(1);

/// The platform behind limits.
pub(crate) struct Gate<P> {
    platform: Arc<P>,
    quick: Semaphore,
    slow: Semaphore,
}

impl<P: Platform> Gate<P> {
    pub(crate) fn new(platform: Arc<P>) -> Self {
        Self { platform, quick: Semaphore::new(QUICK), slow: Semaphore::new(SLOW) }
    }

    pub(crate) async fn identify(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        limited(&self.quick, QUICK_DEADLINE, "finding the addresses", self.platform.identify(redis)).await
    }

    pub(crate) async fn observe(&self, key: &Key) -> Result<Vec<Member>, PlatformError> {
        limited(&self.quick, QUICK_DEADLINE, "looking at the members", self.platform.observe(key)).await
    }

    pub(crate) async fn unfit(&self, key: &Key) -> Result<Vec<String>, PlatformError> {
        limited(
            &self.quick,
            QUICK_DEADLINE,
            "looking at what the resource refers to",
            self.platform.unfit(key),
        )
        .await
    }

    pub(crate) async fn token(&self, key: &Key) -> Result<Arc<SecretString>, PlatformError> {
        limited(&self.quick, QUICK_DEADLINE, "reading the agents' token", self.platform.token(key)).await
    }

    pub(crate) async fn published(&self, key: &Key) -> Result<Option<RedisStatus>, PlatformError> {
        limited(&self.quick, QUICK_DEADLINE, "reading the last status", self.platform.published(key)).await
    }

    pub(crate) async fn publish(&self, key: &Key, publication: &Publication) -> Result<(), PlatformError> {
        limited(&self.quick, QUICK_DEADLINE, "publishing the status", self.platform.publish(key, publication))
            .await
    }

    pub(crate) async fn lead(&self, key: &Key, masters: &[String]) -> Result<(), PlatformError> {
        limited(
            &self.quick,
            QUICK_DEADLINE,
            "leading clients to the master",
            self.platform.lead(key, masters),
        )
        .await
    }

    pub(crate) async fn apply(&self, workload: &Workload) -> Result<(), PlatformError> {
        let deadline = SLOW_DEADLINE + workload.redis.spec.termination_grace_period;
        limited(&self.slow, deadline, "applying the workload", self.platform.apply(workload)).await
    }

    pub(crate) async fn replace(&self, workload: &Workload, member: &str) -> Result<(), PlatformError> {
        let deadline = SLOW_DEADLINE + workload.redis.spec.termination_grace_period;
        limited(&self.slow, deadline, "restarting a member", self.platform.replace(workload, member)).await
    }

    pub(crate) async fn delete(&self, key: &Key) -> Result<(), PlatformError> {
        // Whoever is deleted may have had any grace period: an hour is the longest the resource allows.
        limited(&self.slow, Duration::from_hours(1), "removing the members", self.platform.delete(key)).await
    }
}

async fn limited<T>(
    places: &Semaphore,
    deadline: Duration,
    what: &str,
    call: impl Future<Output = Result<T, PlatformError>>,
) -> Result<T, PlatformError> {
    // The semaphore is never closed.
    let _place = places.acquire().await;
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer,
        Err(_) => Err(PlatformError {
            what: what.to_owned(),
            why: format!("no answer within {} s", deadline.as_secs()),
            next: "it is tried again; see whether the platform is overloaded".to_owned(),
        }),
    }
}
