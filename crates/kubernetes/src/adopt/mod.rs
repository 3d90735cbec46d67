//! Taking over what the old operator made of a `RedisFailover`: what there is ([`found`]), what stands in the way
//! ([`obstacles`]), what would change ([`changes`]). All of it pure; who looks is
//! [`crate::remote`].

mod changes;
pub(crate) mod found;
mod kept;
mod obstacles;
#[cfg(test)]
mod tests;

use redoubt_api::{
    CheckedRedis, Fault, Finding,
    failover::{self, RedisFailover, Surroundings},
};
use serde::Serialize;

pub(crate) use self::changes::{map_names, sharer};
use self::found::{Found, Server};

/// What taking over a `RedisFailover` amounts to. The names of the fields are a promise to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// Name of the resource.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Which object of this name was looked at.
    pub uid: String,
    /// Which of its versions.
    pub generation: Option<i64>,
    /// Entries that `spec.redis.customConfig` lacks: directives that only the servers' memory has.
    pub unwritten: Vec<String>,
    /// What stands in the way; empty: it can be taken over.
    pub obstacles: Vec<Obstacle>,
    /// What is changed, removed and made.
    pub changes: Vec<Change>,
    /// Whose server is restarted, in this order, each once.
    pub restarts: Vec<Restart>,
    /// What is taken over and deserves a second look.
    pub warnings: Vec<Finding>,
}

/// Why it cannot be taken over as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Obstacle {
    /// What is so, and why that stands in the way.
    pub what: String,
    /// What to do.
    pub next: String,
}

/// What becomes of one object, or of some that go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: String,
}

/// A server that is restarted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// Its pod.
    pub pod: String,
    /// When, and as what.
    pub when: String,
}

impl Obstacle {
    fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }
}

impl From<&Fault> for Obstacle {
    fn from(fault: &Fault) -> Self {
        let what = Fault { place: None, hint: None, ..fault.clone() }.to_string();
        Self::new(what, fault.hint.clone().unwrap_or_else(|| "correct it".to_owned()))
    }
}

/// What taking over would amount to. Pure: says the same of the same.
pub(crate) fn judge(found: &Found) -> Adoption {
    let key = found.failover.metadata.key();
    let mut adoption = Adoption {
        name: key.name,
        namespace: key.namespace,
        uid: found.uid.clone(),
        generation: found.generation,
        unwritten: Vec::new(),
        obstacles: obstacles::outside(found),
        changes: Vec::new(),
        restarts: Vec::new(),
        warnings: Vec::new(),
    };
    let nodes = match obstacles::nodes(found) {
        Ok(nodes) => nodes,
        Err(obstacle) => {
            adoption.obstacles.push(obstacle);
            return adoption;
        }
    };
    let master = master(found);
    let kept = kept::kept(found, master);
    adoption.unwritten.clone_from(&kept.directives);
    adoption.warnings = kept.warnings;
    match checked(&found.failover, found, &kept.directives) {
        Err(faults) => adoption.obstacles.extend(faults.iter().map(Obstacle::from)),
        Ok(redis) => {
            adoption.obstacles.extend(obstacles::inside(found, nodes, &redis, master));
            adoption.changes = changes::changes(found, &redis, &kept.directives);
            adoption.restarts = changes::restarts(found, master);
            let failover = redis.failover.as_deref();
            let honoured = failover.into_iter().flat_map(|it| it.not_honoured.iter().chain(&it.warnings));
            adoption.warnings.extend(honoured.cloned());
        }
    }
    adoption.warnings.extend(without_status(found));
    adoption
}

/// The old operator's definition has no place for one.
fn without_status(found: &Found) -> Option<Finding> {
    let hint = "install Redoubt's: `redoubt crds --redisfailover | kubectl apply --server-side --force-conflicts -f -`";
    (!found.has_status)
        .then(|| Finding::at("", "the definition has no status, and nothing could be shown").hint(hint))
}

/// What Redoubt would run, once the directives that live in memory alone are written.
fn checked(
    failover: &RedisFailover,
    found: &Found,
    directives: &[String],
) -> Result<CheckedRedis, Vec<Fault>> {
    let mut failover = failover.clone();
    failover.spec.redis.custom_config.extend(directives.iter().cloned());
    // What a fork means by a field that is left out shows in what it made.
    failover::run(&failover, Surroundings { sentinels: Some(found.sentinels.is_some()) })
}

/// The only one that says it leads.
fn master(found: &Found) -> Option<&Server> {
    let mut masters = found.servers.iter().filter(|server| server.leads());
    masters.next().filter(|_| masters.next().is_none())
}
