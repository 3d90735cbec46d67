//! Who looks after the agent of one member: starts it, starts it again, ends it.
//!
//! A task per member, which alone owns its process. It does not need the engine: an agent that ended is started
//! again at once, also while the engine waits for another member. When the engine's process ends, the agents stay,
//! and the next engine's minders adopt them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    backoff::{Backoff, STABLE},
    ending::{Way, end},
    error::LocalError,
    files,
    last_words::last_words,
    launch::{AgentRecord, Launch, Wish},
    nudges::Nudges,
    process::Process,
};

/// Orders of one member that wait: one that is carried out, and the next.
const QUEUE: usize = 2;

/// After the death of a member something of it may hold its address for some more milliseconds.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at an address that is taken: nobody tells when it becomes free.
const ADDRESS_LOOK: Duration = Duration::from_millis(20);
/// Between two tries to start what cannot be started: people mend the cause, so there is no hurry.
const RETRY: Duration = Duration::from_secs(1);

/// Whether a member is to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is not there and nobody asks for it.
    #[default]
    Absent,
    /// It is to run.
    Wanted,
    /// It is being stopped and will not come back by itself.
    Leaving,
}

/// What others see of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Minded {
    /// Whether it is to be there.
    pub(crate) standing: Standing,
    /// The template its agent was started with.
    pub(crate) template: String,
    /// Its agent runs.
    pub(crate) running: bool,
    /// Its agent's process.
    pub(crate) pid: Option<u32>,
    /// Why it does not run, or keeps ending.
    pub(crate) trouble: Option<String>,
}

/// Looks after one member until it is dropped. The agent outlives it.
#[derive(Debug)]
pub(crate) struct Minder {
    orders: mpsc::Sender<Order>,
    state: watch::Sender<Minded>,
    task: JoinHandle<()>,
}

impl Drop for Minder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Reply = oneshot::Sender<Result<(), LocalError>>;
type Answer = oneshot::Receiver<Result<(), LocalError>>;

enum Order {
    Run(Wish, Reply),
    End(Way, Duration, Reply),
}

fn gone() -> LocalError {
    LocalError::Gone { what: "what looks after a member".to_owned() }
}

impl Minder {
    /// Looks after a member from now on. One that an engine before us left is adopted; if it has ended meanwhile and
    /// is to be `revived`, it is started again. A new one waits for [`Minder::run`].
    pub(crate) fn new(
        set: &str,
        launch: Launch,
        record: Option<&AgentRecord>,
        revived: bool,
        nudges: Nudges,
    ) -> Self {
        let process = record.and_then(|record| launch.adopt(record));
        let due = (revived && record.is_some() && process.is_none()).then(Instant::now);
        let standing = if record.is_some() { Standing::Wanted } else { Standing::Absent };
        let state = Minded {
            standing,
            template: launch.wish.template.clone(),
            running: process.is_some(),
            pid: process.as_ref().map(|process| process.id().pid),
            trouble: None,
        };
        let (orders, inbox) = mpsc::channel(QUEUE);
        let state = watch::Sender::new(state);
        let work = Work {
            set: set.into(),
            template: launch.wish.template.clone(),
            launch,
            process,
            started: Instant::now(),
            due,
            backoff: Backoff::default(),
            fresh: true,
            publish: state.clone(),
            nudges,
        };
        Self { orders, state, task: tokio::spawn(work.run(inbox)) }
    }

    /// What is known of it now.
    pub(crate) fn state(&self) -> Minded {
        self.state.borrow().clone()
    }

    /// Has it run. One that runs is left as it is; what it is to be takes effect when it starts the next time.
    pub(crate) async fn run(&self, wish: Wish) -> Result<(), LocalError> {
        self.order(|reply| Order::Run(wish, reply)).await?.await.map_err(|_| gone())?
    }

    /// Ends its agent; it counts as wanted, and somebody is about to [`Minder::run`] it.
    pub(crate) async fn end(&self, way: Way, grace: Duration) -> Result<(), LocalError> {
        self.order(|reply| Order::End(way, grace, reply)).await?.await.map_err(|_| gone())?
    }

    /// Ends it for good, until [`Minder::run`]. Does not wait for the end.
    pub(crate) async fn leave(&self, way: Way, grace: Duration) -> Result<(), LocalError> {
        let wanted = |state: &mut Minded| {
            let wanted = state.standing == Standing::Wanted;
            state.standing = if wanted { Standing::Leaving } else { state.standing };
            wanted
        };
        if self.state.send_if_modified(wanted) {
            self.order(|reply| Order::End(way, grace, reply)).await?;
        }
        Ok(())
    }

    async fn order(&self, order: impl FnOnce(Reply) -> Order) -> Result<Answer, LocalError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| gone())?;
        Ok(answer)
    }
}

/// The task's side.
struct Work {
    set: Arc<str>,
    launch: Launch,
    template: String,
    process: Option<Process>,
    started: Instant,
    // When to start it; `None`: it is not to run, or runs.
    due: Option<Instant>,
    backoff: Backoff,
    // Not started by us yet: what holds its address is not itself.
    fresh: bool,
    publish: watch::Sender<Minded>,
    nudges: Nudges,
}

enum Wake {
    Ended(String),
    Due,
    Order(Option<Order>),
}

impl Work {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        loop {
            match self.wake(&mut inbox).await {
                Wake::Ended(how) => self.ended(&how),
                Wake::Due if self.process.is_some() => self.stable(),
                // Nobody waits for the answer here: trouble says it.
                Wake::Due => drop(self.start().await),
                Wake::Order(Some(Order::Run(wish, reply))) => {
                    // Who asked may be gone; the work is done all the same.
                    let _ = reply.send(self.wanted(wish).await);
                }
                Wake::Order(Some(Order::End(way, grace, reply))) => {
                    let _ = reply.send(self.end(&way, grace).await);
                }
                Wake::Order(None) => return,
            }
        }
    }

    async fn wake(&mut self, inbox: &mut mpsc::Receiver<Order>) -> Wake {
        let due = async {
            match self.due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            match &mut self.process {
                Some(process) => process.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            how = ended => Wake::Ended(how),
            order = inbox.recv() => Wake::Order(order),
            () = due => Wake::Due,
        }
    }

    async fn wanted(&mut self, wish: Wish) -> Result<(), LocalError> {
        self.launch.wish = wish;
        self.show(|state| state.standing = Standing::Wanted);
        if self.process.is_some() { Ok(()) } else { self.start().await }
    }

    async fn start(&mut self) -> Result<(), LocalError> {
        self.due = None;
        let started = match self.check_addresses().await {
            Ok(()) => self.launch.start(),
            Err(error) => Err(error),
        };
        match started {
            Ok(process) => self.started(process),
            Err(error) => {
                self.due = Some(Instant::now() + RETRY);
                let trouble = format!("{error}; {}", error.next());
                tracing::warn!(redis = %self.set, node = self.launch.member, %error, "agent not started");
                self.show(|state| state.trouble = Some(trouble));
                return Err(error);
            }
        }
        Ok(())
    }

    fn started(&mut self, process: Process) {
        let pid = process.id().pid;
        tracing::info!(redis = %self.set, node = self.launch.member, pid, "agent started");
        self.process = Some(process);
        self.template.clone_from(&self.launch.wish.template);
        self.fresh = false;
        self.started = Instant::now();
        let failures = self.backoff.failures();
        self.due = (failures > 0).then(|| self.started + STABLE);
        self.show(|state| state.trouble = state.trouble.take().filter(|_| failures > 1));
    }

    /// Only before the first start: a member that dies often must not be held up by its own remains.
    async fn check_addresses(&self) -> Result<(), LocalError> {
        let until = Instant::now() + ADDRESS_PATIENCE;
        while let Some((address, error)) = self.launch.taken_address().filter(|_| self.fresh) {
            if Instant::now() >= until {
                return Err(self.launch.address_taken(address, &error));
            }
            sleep(ADDRESS_LOOK).await;
        }
        Ok(())
    }

    fn ended(&mut self, how: &str) {
        self.process = None;
        let pause = self.backoff.ended(self.started.elapsed(), rand::random());
        self.due = Some(Instant::now() + pause);
        tracing::warn!(redis = %self.set, node = self.launch.member, how, pause_ms = pause.as_millis(), "agent ended");
        let times = self.backoff.failures();
        let trouble = (times > 1).then(|| {
            let words = last_words(&self.launch.dir().log());
            format!("its agent ended {times} times in a row ({how}), the last time saying: {words}")
        });
        self.show(|state| state.trouble = trouble);
    }

    /// It has run long enough to be trusted again.
    fn stable(&mut self) {
        self.due = None;
        self.backoff = Backoff::default();
        self.show(|state| state.trouble = None);
    }

    async fn end(&mut self, way: &Way, grace: Duration) -> Result<(), LocalError> {
        self.due = None;
        let ended = self.end_process(way, grace).await;
        let trouble = ended.as_ref().err().map(|error| format!("{error}; {}", error.next()));
        self.show(|state| {
            if state.standing == Standing::Leaving {
                // Not gone: whoever wants it gone has to be able to ask again.
                state.standing = if trouble.is_none() { Standing::Absent } else { Standing::Wanted };
            }
            state.trouble = trouble;
        });
        ended
    }

    async fn end_process(&mut self, way: &Way, grace: Duration) -> Result<(), LocalError> {
        if let Some(process) = &mut self.process {
            end(process, &self.launch.member, way, grace).await?;
            tracing::info!(redis = %self.set, node = self.launch.member, "agent stopped");
        }
        self.process = None;
        self.backoff = Backoff::default();
        self.fresh = true;
        files::remove(&self.launch.dir().agent())
    }

    /// Tells others, if there is something to tell.
    fn show(&self, change: impl FnOnce(&mut Minded)) {
        let changed = self.publish.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            state.template.clone_from(&self.template);
            state.pid = self.process.as_ref().map(|process| process.id().pid);
            state.running = state.pid.is_some();
            *state != before
        });
        if changed {
            self.nudges.nudge(&self.set);
        }
    }
}
