//! What is in force only as long as the servers run: it has to be written down before the first of them is restarted.

use redoubt_api::{
    Finding, Warning,
    failover::{self, Surroundings, Written},
};
use redoubt_serverconf::{Unwritten, unwritten};

use super::found::{Found, Live, Server};

const PATH: &str = "spec.redis.customConfig";

/// What is to be written into the resource, and what is not.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Entries for `spec.redis.customConfig`.
    pub(super) directives: Vec<String>,
    /// What ends with a restart all the same.
    pub(super) warnings: Vec<Warning>,
}

/// What the master runs with counts: it is what the clients know.
pub(super) fn kept(found: &Found, master: Option<&Server>) -> Kept {
    let Some((master, live)) = master.and_then(|master| Some((master, master.live.as_ref().ok()?))) else {
        return Kept::default();
    };
    let around = Surroundings { sentinels: Some(found.sentinels.is_some()) };
    let Ok(redis) = failover::run(&found.failover, around) else { return Kept::default() };
    let written = failover::written(&found.failover, &redis);
    let of_master = beside(live, &written);
    let mut warnings = lost(master, &of_master);
    for server in &found.servers {
        if let Ok(live) = &server.live
            && server.pod != master.pod
        {
            warnings.extend(of_its_own(server, &beside(live, &written), &of_master));
        }
    }
    let directives = of_master.set.iter().map(|(name, value)| entry(name, value)).collect();
    Kept { directives, warnings }
}

fn beside(live: &Live, written: &Written) -> Unwritten {
    unwritten(&live.config, &written.said, &written.implied, failover::is_free)
}

/// As `customConfig` has it.
fn entry(name: &str, value: &str) -> String {
    let value = if value.is_empty() { "\"\"" } else { value };
    format!("{name} {value}")
}

fn lost(master: &Server, found: &Unwritten) -> Vec<Warning> {
    let pod = &master.pod;
    let overruled = found.overruled.iter().map(|it| {
        let message = format!(
            "{} is {:?} in {pod} and {:?} here: what is written here counts",
            it.name, it.running, it.written
        );
        Finding::at(PATH, message).hint("write what it is in the pod, if that is what is wanted")
    });
    let unknown = (!found.unknown.is_empty()).then(|| {
        let message = format!(
            "{pod} has directives of which nobody here knows the default: {}",
            found.unknown.join(", ")
        );
        Finding::at(PATH, message).hint("write those that somebody has set")
    });
    overruled.chain(unknown).collect()
}

/// A replica that was told something else than its master.
fn of_its_own(server: &Server, own: &Unwritten, of_master: &Unwritten) -> Option<Warning> {
    let others = own.set.iter().filter(|(name, value)| of_master.set.get(*name) != Some(*value));
    let others: Vec<String> = others.map(|(name, value)| entry(name, value)).collect();
    let message =
        format!("{} alone runs with {}: all nodes get what the master has", server.pod, others.join(", "));
    (!others.is_empty()).then(|| Finding::at(PATH, message).hint("write it, if it is meant for all of them"))
}
