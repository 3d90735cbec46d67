//! One operator at a time, by a Lease.
//!
//! Expected flow: acquire, then renew until told to stop, then release; another takes over at once.
//! Guarantee: whoever cannot renew in time ends before another may take over.
//! Assumption: clocks of operators run at the same speed; what they show does not matter.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
    runtime::{WatchStreamExt as _, watcher::watch_object},
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    access::Cluster,
    error::{OperatorError, is_conflict, is_not_found},
    names::labels::MANAGER,
};

/// Name of the Lease.
const NAME: &str = "redoubt-operator";
/// How long a holder that is silent is waited for. Nothing of the data plane waits with it.
const DURATION: Duration = Duration::from_secs(30);
/// Three tries within the duration.
const RENEW: Duration = Duration::from_secs(10);
/// Between two tries when the Lease cannot be asked for.
const AGAIN: Duration = Duration::from_secs(2);
/// Whoever could not renew for so long ends: before the others may take over.
const GIVE_UP: Duration = Duration::from_secs(25);

/// A Lease, held or wanted.
pub(crate) struct Leader {
    api: Api<Lease>,
    holder: String,
    /// As last read or written; who renews it need not read it again.
    lease: Option<Lease>,
    /// What was seen of another's Lease, and when: its clock is not ours.
    seen: Option<(Option<MicroTime>, Instant)>,
}

impl Leader {
    pub(crate) fn new(cluster: &Cluster, namespace: &str, holder: String) -> Self {
        Self { api: cluster.api(namespace), holder, lease: None, seen: None }
    }

    /// Until this one leads. A Lease that is released is told at once; one that is not renewed is over in the end.
    pub(crate) async fn acquire(&mut self) {
        let mut told = std::pin::pin!(watch_object(self.api.clone(), NAME).default_backoff());
        loop {
            match self.try_hold().await {
                Ok(true) => {
                    info!(holder = self.holder, "this operator leads");
                    return;
                }
                Ok(false) => {}
                Err(error) => {
                    warn!(%error, "the lease cannot be asked for");
                    sleep(AGAIN).await;
                }
            }
            tokio::select! {
                Some(event) = told.next() => match event {
                    Ok(lease) => self.lease = lease,
                    Err(error) => warn!(%error, "the watch of the lease broke off and is begun anew"),
                },
                () = sleep(DURATION) => {}
            }
        }
    }

    /// Until it is lost.
    pub(crate) async fn keep(&mut self) -> OperatorError {
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW).await;
            let why = match tokio::time::timeout(RENEW, self.try_hold()).await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    continue;
                }
                Ok(Ok(false)) => return lost("another operator holds it"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            warn!(why, "the lease was not renewed");
            if renewed.elapsed() + RENEW > GIVE_UP {
                return lost(&why);
            }
        }
    }

    /// Lets the next one take over at once.
    pub(crate) async fn release(&self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(NAME).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.holder) {
                spec.holder_identity = None;
                self.api.replace(NAME, &params(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        if let Err(error) = released.await {
            warn!(%error, "the lease was not released; the next operator waits until it is over");
        }
    }

    /// True: this one holds it, from now on for [`DURATION`].
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        match self.write().await {
            Err(error) if is_conflict(&error) || is_not_found(&error) => {
                self.lease = self.api.get_opt(NAME).await?;
                match self.write().await {
                    // Somebody else was quicker again: that is an answer, not an error.
                    Err(error) if is_conflict(&error) => Ok(false),
                    answer => answer,
                }
            }
            answer => answer,
        }
    }

    /// Takes or renews it as it was last seen; the API server refuses what somebody has changed since.
    async fn write(&mut self) -> Result<bool, kube::Error> {
        let written = match self.lease.clone() {
            None => self.api.create(&params(), &self.first()).await?,
            Some(mut lease) => {
                let spec = lease.spec.get_or_insert_default();
                let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty());
                let mine = holder == Some(&self.holder);
                if !mine && holder.is_some() && !self.is_over(spec) {
                    return Ok(false);
                }
                if !mine {
                    spec.holder_identity = Some(self.holder.clone());
                    spec.acquire_time = Some(MicroTime(Timestamp::now()));
                    spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
                }
                spec.renew_time = Some(MicroTime(Timestamp::now()));
                spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
                self.api.replace(NAME, &params(), &lease).await?
            }
        };
        self.lease = Some(written);
        Ok(true)
    }

    /// It has not changed for as long as it says it lasts, by our own clock.
    fn is_over(&mut self, spec: &LeaseSpec) -> bool {
        let (seen, since) = self.seen.get_or_insert_with(|| (spec.renew_time.clone(), Instant::now()));
        if *seen != spec.renew_time {
            (*seen, *since) = (spec.renew_time.clone(), Instant::now());
        }
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        since.elapsed() > lasts.map_or(DURATION, Duration::from_secs)
    }

    fn first(&self) -> Lease {
        let now = MicroTime(Timestamp::now());
        Lease {
            metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.holder.clone()),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn lost(why: &str) -> OperatorError {
    OperatorError::LeaseLost { lease: NAME.to_owned(), why: why.to_owned() }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}
