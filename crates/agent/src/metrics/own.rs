//! What the agent measures itself: `redoubt_…`, and the usual `process_…` of its own process.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use redoubt_wire::{
    failover::{Failover, Outcome},
    state::{AgentRole, AgentState, Phase},
};

use super::text::{Kind, Text, seconds};

/// Counters of the agent, from its start. What the state holds is read from there.
#[derive(Debug)]
pub(crate) struct Own {
    /// Name of the `Redis`.
    redis: String,
    failovers: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    server_starts: AtomicU64,
    hangs: AtomicU64,
    fence: Mutex<Option<u64>>,
}

impl Own {
    pub(super) fn new(redis: &str) -> Self {
        Self {
            redis: redis.to_owned(),
            failovers: Mutex::default(),
            server_starts: AtomicU64::new(0),
            hangs: AtomicU64::new(0),
            fence: Mutex::default(),
        }
    }

    /// A change of master that this agent led has ended.
    pub(crate) fn failover_ended(&self, failover: &Failover) {
        *lock(&self.failovers).entry((failover.cause.as_str(), result(&failover.outcome))).or_default() += 1;
    }

    /// The server's process was started.
    pub(crate) fn server_started(&self) {
        self.server_starts.fetch_add(1, Ordering::Relaxed);
    }

    /// The server was ended because it hung.
    pub(crate) fn server_hung(&self) {
        self.hangs.fetch_add(1, Ordering::Relaxed);
    }

    /// `min-replicas-to-write` as it stands at the server; `None` where there is no fence, or nobody knows.
    pub(crate) fn fence(&self, min_replicas_to_write: Option<u64>) {
        *lock(&self.fence) = min_replicas_to_write;
    }

    pub(super) fn write(&self, state: &AgentState, text: &mut Text) {
        self.write_agent(state, text);
        self.write_counters(text);
        write_state(state, text);
        write_failover(state, text);
        write_process(text);
    }

    fn write_agent(&self, state: &AgentState, text: &mut Text) {
        let kind = match &state.role {
            AgentRole::Node(_) => "node",
            AgentRole::Sentinel(_) => "sentinel",
        };
        let labels = [
            ("redis", self.redis.as_str()),
            ("node", &state.name),
            ("kind", kind),
            ("version", &state.agent_version),
            ("server_version", state.server_version.as_deref().unwrap_or_default()),
        ];
        let help = "Who this agent is and which server it looks after.";
        text.explained("redoubt_agent_info", Kind::Gauge, help);
        text.sample("redoubt_agent_info", &labels, "1");
    }

    fn write_counters(&self, text: &mut Text) {
        let help = "Changes of master that this agent led, by cause and result.";
        text.explained("redoubt_failovers_total", Kind::Counter, help);
        for ((cause, result), count) in lock(&self.failovers).iter() {
            text.measured("redoubt_failovers_total", &[("cause", cause), ("result", result)], count);
        }
        counter(
            text,
            "redoubt_server_starts_total",
            "Starts of the server by this agent.",
            &self.server_starts,
        );
        counter(text, "redoubt_server_hangs_total", "Servers ended because they hung.", &self.hangs);
        if let Some(replicas) = *lock(&self.fence) {
            let help = "1 while the server refuses writes without a replica in reach.";
            text.explained("redoubt_fence_armed", Kind::Gauge, help);
            text.measured("redoubt_fence_armed", &[], u64::from(replicas > 0));
            let help = "Replicas the server needs in reach to take a write (min-replicas-to-write).";
            text.explained("redoubt_fence_replicas", Kind::Gauge, help);
            text.measured("redoubt_fence_replicas", &[], replicas);
        }
    }
}

fn counter(text: &mut Text, name: &str, help: &str, value: &AtomicU64) {
    text.explained(name, Kind::Counter, help);
    text.measured(name, &[], value.load(Ordering::Relaxed));
}

fn write_state(state: &AgentState, text: &mut Text) {
    let (now, ready) = match &state.role {
        AgentRole::Node(node) => (phase(&node.phase), node.ready),
        AgentRole::Sentinel(sentinel) => (phase(&sentinel.phase), sentinel.quorum_ok),
    };
    text.explained(
        "redoubt_phase",
        Kind::Gauge,
        "Where the server stands in its life; the present phase is 1.",
    );
    for phase in PHASES {
        text.sample("redoubt_phase", &[("phase", phase)], if phase == now { "1" } else { "0" });
    }
    let help = "1 when a node serves and a replica is in sync, or a Sentinel can reach its quorum.";
    text.explained("redoubt_ready", Kind::Gauge, help);
    text.measured("redoubt_ready", &[], u64::from(ready));
    let help = "1 while the newest configuration is refused and the one before is in force.";
    text.explained("redoubt_config_refused", Kind::Gauge, help);
    text.measured("redoubt_config_refused", &[], u64::from(state.config_fault.is_some()));
    let help = "Directives that take effect only when the server starts again.";
    text.explained("redoubt_restart_needed_directives", Kind::Gauge, help);
    text.measured("redoubt_restart_needed_directives", &[], state.restart_needed.len());
}

fn write_failover(state: &AgentState, text: &mut Text) {
    let Some(failover) = &state.last_failover else { return };
    let labels = [("cause", failover.cause.as_str()), ("result", result(&failover.outcome))];
    let help = "Start of the last change of master that this agent led or saw.";
    text.explained("redoubt_last_failover_timestamp_seconds", Kind::Gauge, help);
    text.measured("redoubt_last_failover_timestamp_seconds", &labels, failover.started_at.as_second());
    let help = "From the start of the last change of master to its announcement.";
    text.explained("redoubt_last_failover_duration_seconds", Kind::Gauge, help);
    let duration = seconds(failover.duration_ms.saturating_mul(1000));
    text.measured("redoubt_last_failover_duration_seconds", &labels, duration);
    if let Some(bytes) = failover.bytes_behind() {
        let help = "Bytes of replication stream that the new master had not received.";
        text.explained("redoubt_last_failover_behind_bytes", Kind::Gauge, help);
        text.measured("redoubt_last_failover_behind_bytes", &labels, bytes);
    }
}

fn write_process(text: &mut Text) {
    let Some(own) = redoubt_supervise::own_vitals() else { return };
    text.family("process_cpu_seconds_total", Kind::Counter);
    let cpu_us = u64::try_from(own.cpu_time.as_micros()).unwrap_or(u64::MAX);
    text.measured("process_cpu_seconds_total", &[], seconds(cpu_us));
    text.gauge("process_resident_memory_bytes", own.resident_bytes);
}

const PHASES: [&str; 6] = ["waiting", "starting", "loading", "running", "backoff", "stopping"];

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Waiting { .. } => "waiting",
        Phase::Starting => "starting",
        Phase::Loading => "loading",
        Phase::Running => "running",
        Phase::Backoff { .. } => "backoff",
        Phase::Stopping => "stopping",
    }
}

fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Stopped { .. } => "stopped",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
