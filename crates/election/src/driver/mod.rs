//! Carries out what the machine says, at real endpoints.

mod ask;
mod carry;
mod links;
mod memory;

pub use ask::{look_at_master, named_now};

use std::{fmt::Write as _, future::ready, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use redoubt_redis::Connector;
use redoubt_wire::{
    config::SetConfig,
    failover::{Failover, Outcome, StepTime},
};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use self::{links::Link, memory::Memory};
use crate::{
    Clock, Moment, Report, Request, Verdict,
    machine::{Call, Event, Machine, NODE_WITHIN, Place},
};

/// Who acts, for which set, with which log-ins.
#[derive(Debug, Clone)]
pub struct Context {
    /// The set.
    pub set: Arc<SetConfig>,
    /// Name of the node whose agent acts.
    pub me: String,
    /// Logs in at the data nodes. Its deadline is not used: each step has its own.
    pub nodes: Connector,
    /// Logs in at the Sentinels. Its deadline is not used: each step has its own.
    pub sentinels: Connector,
    memory: Arc<Memory>,
}

impl Context {
    /// A context. Clones share what is remembered of earlier hand-overs; make one per agent and
    /// [`Context::with_set`] when the configuration changes.
    #[must_use]
    pub fn new(set: Arc<SetConfig>, me: String, nodes: Connector, sentinels: Connector) -> Self {
        Self { set, me, nodes, sentinels, memory: Arc::default() }
    }

    /// The same for a newer configuration.
    #[must_use]
    pub fn with_set(&self, set: Arc<SetConfig>) -> Self {
        Self { set, ..self.clone() }
    }
}

/// Wins a Sentinel election and changes the master.
///
/// # Guarantees
/// Nothing is promoted without the votes of max(quorum, majority) of all known Sentinels for one epoch; nothing is
/// re-pointed before a majority names the new master; a hand-over that does not come to its end is taken back, or
/// the pause of the old master runs out by itself.
///
/// # Caveats
/// Dropping the future breaks the change off where it is: what it had begun is left to the rescuers.
pub async fn change_master(ctx: &Context, request: Request) -> Report {
    let started_at = jiff::Timestamp::now();
    let clock = Clock::start();
    let mut machine = Machine::new(
        Arc::clone(&ctx.set),
        request.clone(),
        candidate(&request.id),
        ctx.memory.pause_left(&ctx.set, Instant::now()),
    );
    let span = tracing::info_span!("failover", failover = request.id, cause = ?request.cause);
    let verdict = match ctx.memory.too_early(Instant::now()) {
        Some(verdict) if !request.is_hand_over() => verdict,
        _ => {
            let verdict = drive(ctx, &mut machine, clock).instrument(span).await;
            ctx.memory.ended(&verdict, machine.led_nowhere(), Instant::now());
            verdict
        }
    };
    report(ctx, request, &machine, verdict, started_at)
}

/// 40 hex digits, as the id of a Sentinel, that begin with the id of the failover.
fn candidate(id: &str) -> String {
    let mut candidate: String = id.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    while candidate.len() < 40 {
        let _ = write!(candidate, "{:x}", rand::random_range(0_u8..16));
    }
    candidate
}

/// How long calls that decide nothing any more may still take, such as the announcement to the last Sentinel.
const LINGER: Duration = Duration::from_millis(200);

async fn drive(ctx: &Context, machine: &mut Machine, clock: Clock) -> Verdict {
    let links = Links::new(ctx);
    let mut under_way = FuturesUnordered::new();
    let mut calls = machine.on(Event::Start, clock.now(), rand::random());
    loop {
        for call in calls.drain(..) {
            tracing::debug!(?call, "asks");
            ctx.memory.see(&call.ask, Instant::now());
            under_way.push(links.carry_out(call, clock));
        }
        if let Some(verdict) = machine.verdict().cloned() {
            // Whom a slow Sentinel names matters to the clients that ask it first.
            let _ = timeout(LINGER, under_way.for_each(|_| ready(()))).await;
            return verdict;
        }
        let wake = machine.wake_at();
        let event = tokio::select! {
            Some(answer) = under_way.next() => answer,
            () = tokio::time::sleep_until(clock.instant(wake.unwrap_or(Moment::START))), if wake.is_some() => Event::Time,
            // Every call is answered and every wait has an end, so this is a fault of the machine.
            else => return Verdict::Stopped { why: "the election came to a stand with nothing to wait for".to_owned() },
        };
        tracing::debug!(?event, "hears");
        calls = machine.on(event, clock.now(), rand::random());
    }
}

/// Everybody who may be asked.
struct Links {
    master_name: String,
    nodes: Vec<Link>,
    sentinels: Vec<Link>,
}

impl Links {
    fn new(ctx: &Context) -> Self {
        let config = ctx.set.sentinel();
        // Longer than any call: each call has a time of its own.
        let (nodes, sentinels) =
            (ctx.nodes.with_deadline(NODE_WITHIN * 10), ctx.sentinels.with_deadline(NODE_WITHIN * 10));
        let entries = config.into_iter().flat_map(|config| &config.sentinels);
        Self {
            master_name: config.map(|config| config.master_name.clone()).unwrap_or_default(),
            nodes: ctx.set.nodes.iter().map(|node| Link::new(node.server.clone(), nodes.clone())).collect(),
            sentinels: entries.map(|entry| Link::new(entry.server.clone(), sentinels.clone())).collect(),
        }
    }

    async fn carry_out(&self, call: Call, clock: Clock) -> Event {
        let link = match call.place {
            Place::Node(index) => self.nodes.get(index),
            Place::Sentinel(index) => self.sentinels.get(index),
        };
        let answer = match link {
            Some(link) => carry::carry_out(&call, link, &self.master_name, clock).await,
            None => crate::machine::Answer::Lost("it is not in the set".to_owned()),
        };
        Event::Answer { id: call.id, place: call.place, answer }
    }
}

fn report(
    ctx: &Context,
    request: Request,
    machine: &Machine,
    verdict: Verdict,
    started_at: jiff::Timestamp,
) -> Report {
    let log = machine.log();
    let us = |moment: Moment| u64::try_from(moment.0.as_micros()).unwrap_or(u64::MAX);
    let steps: Vec<_> =
        log.steps.iter().map(|(step, at)| StepTime { step: (*step).to_owned(), at_us: us(*at) }).collect();
    let end = log.announced_at.map(us).or_else(|| steps.last().map(|step| step.at_us)).unwrap_or(0);
    let outcome = match verdict.why() {
        None => Outcome::Done,
        Some(why) => Outcome::Stopped { why: why.to_owned() },
    };
    let failover = Failover {
        id: request.id,
        cause: request.cause,
        led_by: Some(ctx.me.clone()),
        epoch: log.epoch,
        votes: machine.votes(),
        old_master: Some(request.replaces),
        new_master: log.new_master.clone(),
        old_offset: log.old_offset.or(request.old_offset),
        new_offset: log.new_offset,
        started_at,
        duration_ms: end / 1000,
        steps,
        outcome,
    };
    Report { failover, verdict }
}
