//! A disk that takes nothing more: it is told, and a master that refuses writes for it hands over to a node that can
//! write.
//!
//! A server that cannot write its files answers PING with `MISCONF`, too. Left alone, Sentinel takes the master for dead
//! after `downAfter` and fails over without waiting for its replicas.

use std::time::Duration;

use redoubt_redis::info::Unwritten;
use redoubt_wire::{
    failover::Cause,
    state::{DiskFault, Replication},
};

use super::{Node, look::Seen, serve::Watchman};
use crate::server::Server;

/// Nobody could take over: another may have made room by then.
const TRY_AGAIN: Duration = Duration::from_secs(10);

impl Node {
    /// What keeps the files from being written, by the server's word or by the agent's own try.
    pub(super) fn disk_fault(&self, watchman: &Watchman) -> Option<DiskFault> {
        let seen = watchman.seen.as_ref()?;
        let refuses_writes = self.refuses_writes(seen);
        let server = seen.unwritten.map(|what| match what {
            Unwritten::Aof => "the append-only file cannot be written",
            Unwritten::Rdb => "the last snapshot failed",
        });
        let why = match (server, &watchman.record_fault) {
            (None, None) => return None,
            (Some(what), None) => what.to_owned(),
            (None, Some(record)) => record.clone(),
            (Some(what), Some(record)) => format!("{what}; {record}"),
        };
        let refusal = if refuses_writes { "; as master its server refuses writes (MISCONF)" } else { "" };
        let next = "see whether its disk has room, and what the server's log says";
        Some(DiskFault { why: format!("{why}{refusal}; {next}"), refuses_writes })
    }

    fn refuses_writes(&self, seen: &Seen) -> bool {
        let set = &self.agent.set;
        let goes_on = || set.directives.get("stop-writes-on-bgsave-error").is_some_and(|value| value == "no");
        match seen.unwritten {
            Some(Unwritten::Aof) => true,
            Some(Unwritten::Rdb) => !set.persistence.rdb_save.is_empty() && !goes_on(),
            None => false,
        }
    }

    /// Writes are refused here, and would be taken elsewhere.
    pub(super) async fn leave_full_disk(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let now = self.agent.clock.now();
        let is_due = watchman.disk_left_at.is_none_or(|at| now.since(at) >= TRY_AGAIN);
        let refused =
            watchman.seen.as_ref().is_some_and(|seen| self.refuses_writes(seen) && has_replica(seen));
        if !refused || !is_due {
            return;
        }
        watchman.disk_left_at = Some(now);
        if let Err(refusal) = self.switchover(server, watchman, None, Cause::Disk, None).await {
            tracing::warn!("writes are refused, and nobody takes over: {}", refusal.error);
        }
    }
}

fn has_replica(seen: &Seen) -> bool {
    matches!(&seen.replication, Replication::Master { replicas } if !replicas.is_empty())
}
