//! One writer: a key after the other, to whoever leads, and an account of what was acknowledged.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{ErrorKind, RedisError, RedisResult, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Drill, DrillError, Target,
    account::{Ack, WriterLog},
    client::{Finder, PATIENCE, Switches},
    key::{Keys, TTL_S},
};

/// Pause after a try that failed.
const RETRY: Duration = Duration::from_millis(5);
/// Pause after a write: a drill measures gaps of milliseconds and is no load test.
const PACE: Duration = Duration::from_millis(1);

/// What the writers did so far, for those who look on.
#[derive(Debug)]
pub(crate) struct Tally {
    /// How many writes of each writer were acknowledged.
    acknowledged: watch::Sender<BTreeMap<u32, u64>>,
    last_error: Mutex<Option<String>>,
}

impl Tally {
    fn new(writers: u32) -> Self {
        let none = (0..writers).map(|writer| (writer, 0)).collect();
        Self { acknowledged: watch::Sender::new(none), last_error: Mutex::default() }
    }

    /// The last error of a writer, for people.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Resolves once a write was acknowledged.
    pub(crate) async fn first_acknowledged(&self) {
        self.until(|acknowledged| acknowledged.values().any(|count| *count > 0)).await;
    }

    /// Resolves once every writer got through again.
    pub(crate) async fn all_again(&self) {
        let before = self.acknowledged.borrow().clone();
        self.until(|now| now.values().zip(before.values()).all(|(now, before)| now > before)).await;
    }

    async fn until(&self, enough: impl FnMut(&BTreeMap<u32, u64>) -> bool) {
        // The sender lives in this very struct.
        let _ = self.acknowledged.subscribe().wait_for(enough).await;
    }

    fn acknowledge(&self, writer: u32) {
        self.acknowledged.send_modify(|acknowledged| *acknowledged.entry(writer).or_default() += 1);
    }

    fn note(&self, error: &RedisError) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

/// All writers of a drill. Dropped, they end at once.
pub(crate) struct Crew {
    tasks: JoinSet<WriterLog>,
    stop: watch::Sender<bool>,
    tally: Arc<Tally>,
    _switches: Option<Switches>,
}

impl Crew {
    /// Sends the writers off, to each of the parts of the set in turn. Times in their logs count from `start`.
    pub(crate) fn start(
        parts: &[Target],
        drill: &Drill,
        keys: &Keys,
        start: Instant,
    ) -> Result<Self, DrillError> {
        let listens = drill.client == crate::ClientKind::Sentinel;
        let switches = parts.first().filter(|_| listens).and_then(Switches::listen);
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Tally::new(drill.writers));
        let mut tasks = JoinSet::new();
        for (number, target) in (0..drill.writers).zip(parts.iter().cycle()) {
            let writer = Writer {
                finder: Finder::new(drill.client, target, switches.as_ref())?,
                keys: keys.clone(),
                start,
                stopped: stopped.clone(),
                tally: tally.clone(),
                log: WriterLog { writer: number, ..WriterLog::default() },
            };
            tasks.spawn(writer.run());
        }
        Ok(Self { tasks, stop, tally, _switches: switches })
    }

    /// What they did so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets each finish its try, and collects the logs.
    pub(crate) async fn stop(mut self) -> Vec<WriterLog> {
        self.stop.send_replace(true);
        let mut logs = Vec::new();
        while let Some(log) = self.tasks.join_next().await {
            logs.extend(log.ok());
        }
        logs.sort_unstable_by_key(|log| log.writer);
        logs
    }
}

struct Writer {
    finder: Finder,
    keys: Keys,
    start: Instant,
    stopped: watch::Receiver<bool>,
    tally: Arc<Tally>,
    log: WriterLog,
}

impl Writer {
    async fn run(mut self) -> WriterLog {
        let mut connection = None;
        while !*self.stopped.borrow() {
            match self.once(&mut connection).await {
                Ok(()) => sleep(PACE).await,
                Err(error) => {
                    connection = None;
                    self.log.failed += 1;
                    self.tally.note(&error);
                    sleep(RETRY).await;
                }
            }
        }
        self.log
    }

    async fn once(&mut self, connection: &mut Option<MultiplexedConnection>) -> RedisResult<()> {
        if self.finder.moved() {
            *connection = None;
        }
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.finder.connect().await?),
        };
        let n = self.log.tried;
        self.log.tried += 1;
        let key = self.keys.key(self.log.writer, n);
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(n).arg("EX").arg(TTL_S);
        tokio::select! {
            answer = timeout(PATIENCE, set.exec_async(connection)) => answer.unwrap_or_else(|_| Err(no_answer()))?,
            () = self.finder.announced() => return Err(moved_away()),
        }
        self.log.acks.push(Ack { at: self.start.elapsed(), n });
        self.tally.acknowledge(self.log.writer);
        Ok(())
    }
}

fn no_answer() -> RedisError {
    RedisError::from((ErrorKind::Io, "a write was not answered in time"))
}

fn moved_away() -> RedisError {
    RedisError::from((ErrorKind::Io, "another master was announced during a write"))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn all_are_back_when_the_last_one_is() {
        let tally = Tally::new(2);
        tally.acknowledge(0);
        assert_eq!(tally.first_acknowledged().now_or_never(), Some(()));
        let mut again = std::pin::pin!(tally.all_again());
        assert_eq!(again.as_mut().now_or_never(), None);
        tally.acknowledge(0);
        assert_eq!(again.as_mut().now_or_never(), None);
        tally.acknowledge(1);
        assert_eq!(again.as_mut().now_or_never(), Some(()));
    }
}
