//! Moves slots from one master to another by MIGRATE.
//!
//! Expected flow: the ends open and list slots while two lanes send the keys of those listed before; whatever is answered
//! goes into the [`Window`], which says what is next.
//!
//! Guarantees: a key is never at both nodes in a way that a client could see, since MIGRATE keeps the source from
//! answering until the target has the key. A slot changes its owner only after the source was seen without keys of it.
//! Cut off anywhere, it leaves open slots that hold every key at one end; the next run finishes them.
//!
//! Caveats: a MIGRATE whose target hangs for longer than its time-out may leave a copy there. The source's counts, and
//! replaces it with the next try; but a client that deletes such a key at the source in between is sent to the target,
//! and finds the copy when the target wakes up. MIGRATE has no way around this; the servers' own migration has.

use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use redoubt_redis::{Error, cluster::SlotSet};
use tokio::time::{Instant, sleep_until};

use super::{
    Event, Options, Stop,
    budget::Budget,
    ends::{Done, Ends, Fault},
    lane::{Lane, Sent},
    window::{Batch, Key, Window, Work},
};

/// Two: the next batch is with the source when it has finished one, and clients are served in between.
pub(super) const LANES: usize = 2;
/// A batch is tried so often when the target does not answer.
const TRIES: u32 = 3;

/// What was moved, and what is left.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// They belong to the target.
    pub(super) moved: SlotSet,
    /// They are open still.
    pub(super) left_open: SlotSet,
    /// Why it ended before all was moved.
    pub(super) fault: Option<Fault>,
}

/// One pair at work.
pub(super) struct Pair<'a> {
    options: &'a Options,
    report: &'a (dyn Fn(Event) + Send + Sync),
    window: Window,
    budget: Budget,
    idle: Vec<Lane>,
    sending: FuturesUnordered<BoxFuture<'static, Answer>>,
    answered_at: Instant,
    /// When the next batch may go, by the rate limit.
    free_at: Instant,
    outcome: Outcome,
}

type Working = BoxFuture<'static, (Ends, Result<Done, Fault>)>;

struct Answer {
    lane: Lane,
    batch: Batch,
    sent_at: Instant,
    result: Result<Sent, Error>,
}

impl<'a> Pair<'a> {
    /// These slots, each with how many keys it is expected to hold, over a way to the target and back that takes so long.
    pub(super) fn new(
        options: &'a Options,
        report: &'a (dyn Fn(Event) + Send + Sync),
        lanes: Vec<Lane>,
        round_trip: Duration,
        slots: impl IntoIterator<Item = (u16, u64)>,
    ) -> Self {
        let now = Instant::now();
        Self {
            options,
            report,
            window: Window::new(slots),
            budget: Budget::new(options.max_pause, round_trip),
            idle: lanes,
            sending: FuturesUnordered::new(),
            answered_at: now,
            free_at: now,
            outcome: Outcome::default(),
        }
    }

    /// Moves them. When it is stopped, it finishes what is open.
    pub(super) async fn run(mut self, ends: Ends, mut stop: Stop) -> Outcome {
        let mut resting = Some(ends);
        let mut working: Option<Working> = None;
        loop {
            let goes_on = self.outcome.fault.is_none();
            if goes_on {
                self.send();
                if resting.is_some()
                    && let Some(work) = self.window.work()
                    && let Some(ends) = resting.take()
                {
                    working = Some(perform(ends, work).boxed());
                }
            }
            if working.is_none() && self.sending.is_empty() {
                break;
            }
            tokio::select! {
                (ends, done) = finished(&mut working) => {
                    working = None;
                    resting = Some(ends);
                    self.worked(done);
                }
                Some(answer) = self.sending.next(), if !self.sending.is_empty() => self.answered(answer),
                () = stop.wait(), if goes_on => self.window.stop(),
            }
        }
        if let Some(ends) = resting {
            self.give_up(ends).await;
        }
        self.outcome.left_open = self.window.open();
        self.outcome
    }

    /// Gives every idle lane a batch.
    fn send(&mut self) {
        while let Some(mut lane) = self.idle.pop() {
            let Some(batch) = self.window.next_batch(self.options.keys, self.budget.cost(), Budget::of)
            else {
                self.idle.push(lane);
                return;
            };
            let begins = self.pace(&batch);
            self.sending.push(
                async move {
                    // A sleep takes a millisecond at least, also when it is over before it begins.
                    if begins > Instant::now() {
                        sleep_until(begins).await;
                    }
                    let sent_at = Instant::now();
                    let result = lane.send(&batch).await;
                    Answer { lane, batch, sent_at, result }
                }
                .boxed(),
            );
        }
    }

    /// When this batch may begin; the next one after it has had its time.
    fn pace(&mut self, batch: &Batch) -> Instant {
        let begins = self.free_at.max(Instant::now());
        if let Some(rate) = self.options.rate {
            let nanos = weight(&batch.keys).saturating_mul(1_000_000_000) / rate.get();
            self.free_at = begins + Duration::from_nanos(nanos);
        }
        begins
    }

    fn answered(&mut self, answer: Answer) {
        let Answer { lane, mut batch, sent_at, result } = answer;
        self.idle.push(lane);
        let now = Instant::now();
        // While both lanes were under way, the source began this batch when it had finished the other one.
        let took = now - sent_at.max(self.answered_at);
        self.answered_at = now;
        match result {
            Ok(Sent::Moved) => {
                self.budget.took(batch.keys.iter().map(Budget::of).sum(), took);
                self.window.sent(batch.slot);
                (self.report)(Event::Keys { keys: batch.keys.len() as u64, bytes: weight(&batch.keys) });
            }
            // A MIGRATE that was not answered left them there, now or in an earlier run. Clients see the source's.
            Ok(Sent::Occupied) if !batch.overwrite => {
                batch.overwrite = true;
                self.window.again(batch);
            }
            Ok(Sent::Unanswered(_)) if batch.failures + 1 < TRIES => {
                batch.failures += 1;
                self.window.again(batch);
            }
            Ok(Sent::Unanswered(error)) | Err(error) => self.fail(Fault::at(batch.slot, error)),
            Ok(Sent::Occupied) => {
                let error = Error::Closed {
                    peer: "the target".into(),
                    command: "MIGRATE".to_owned(),
                    why: "it keeps its copy of a key although it was told to replace it".to_owned(),
                };
                self.fail(Fault::at(batch.slot, error));
            }
        }
    }

    fn worked(&mut self, done: Result<Done, Fault>) {
        match done {
            Ok(done) => self.take_up(done),
            Err(fault) => self.fail(fault),
        }
    }

    fn take_up(&mut self, done: Done) {
        for (slot, keys) in done.listed {
            for key in keys.iter().filter(|key| key.bytes >= self.options.big_key) {
                let name = String::from_utf8_lossy(&key.name).into_owned();
                (self.report)(Event::BigKey { slot, key: name, bytes: key.bytes });
            }
            self.window.listed(slot, keys);
        }
        for slot in done.closed {
            self.window.gone(slot);
            self.outcome.moved.insert(slot);
            (self.report)(Event::Slot { slot });
        }
    }

    /// Sends no more; what is under way is waited for. The first fault is the one that is told.
    fn fail(&mut self, fault: Fault) {
        self.window.stop();
        self.outcome.fault.get_or_insert(fault);
    }

    /// After a fault: closes what has no keys left. The rest stays open, and is told so: clients are sent to the target
    /// for what the source does not have, and may have written there, so that nothing can be taken back.
    async fn give_up(&mut self, mut ends: Ends) {
        let Some(fault) = self.outcome.fault.as_ref().filter(|fault| !fault.while_closing) else { return };
        if !fault.error.is_answer() {
            return;
        }
        let list = self.window.drained();
        if let Ok(done) = ends.perform(Work { open: Vec::new(), list }).await {
            self.take_up(done);
        }
    }
}

/// Never, while nothing is done.
async fn finished(working: &mut Option<Working>) -> (Ends, Result<Done, Fault>) {
    match working {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn perform(mut ends: Ends, work: Work) -> (Ends, Result<Done, Fault>) {
    let done = ends.perform(work).await;
    (ends, done)
}

fn weight(keys: &[Key]) -> u64 {
    keys.iter().map(|key| key.bytes).sum()
}
