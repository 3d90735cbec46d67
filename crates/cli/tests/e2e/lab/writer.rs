//! A client that writes one key after the other, and keeps an honest account of it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use redis::{
    Connection, ConnectionLike,
    cluster::{ClusterConnection, cluster_pipe},
};

use super::{Sight, wait_for};

/// Between two writes, and two tries: hundreds in a second, and the machine is left to the servers.
const PAUSE: Duration = Duration::from_millis(2);

/// Writes until it is asked for its account.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<(String, Instant)>>>,
    thread: Option<JoinHandle<()>>,
}

/// What was acknowledged, and when.
pub(crate) struct Account {
    pub(crate) acknowledged: Vec<(String, Instant)>,
}

impl Writer {
    /// Writes at one node, whatever it is.
    pub(crate) fn at(sight: &Sight, node: &str) -> Self {
        let (sight, at) = (sight.clone(), node.to_owned());
        Self::start(node, move || sight.connect(&at).ok())
    }

    /// Writes at the node that these Sentinels name; asks again only after an error.
    pub(crate) fn asking(sight: &Sight, sentinels: &[String]) -> Self {
        let (sight, sentinels) = (sight.clone(), sentinels.to_vec());
        Self::start("asking", move || {
            let master = sentinels.iter().find_map(|sentinel| sight.named_by(sentinel))?;
            sight.connect(&master).ok()
        })
    }

    /// Writes a key of this tag at whichever of these nodes takes it; looks again only after an error.
    pub(crate) fn in_shard(sight: &Sight, nodes: &[&str], tag: &str) -> Self {
        let sight = sight.clone();
        let nodes: Vec<String> = nodes.iter().map(|node| (*node).to_owned()).collect();
        let probe = format!("{tag}probe");
        Self::start(tag, move || {
            nodes.iter().find_map(|node| {
                let mut connection = sight.connect(node).ok()?;
                redis::cmd("SET").arg(&probe).arg(0).exec(&mut connection).ok()?;
                Some(connection)
            })
        })
    }

    /// Writes keys of all slots as a client of the whole cluster; connects again only after an error.
    pub(crate) fn in_cluster(sight: &Sight) -> Self {
        let sight = sight.clone();
        Self::start("everywhere", move || sight.cluster().ok())
    }

    fn start<C: ConnectionLike>(name: &str, find: impl Fn() -> Option<C> + Send + 'static) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = {
            let (name, stop, acknowledged) = (name.to_owned(), Arc::clone(&stop), Arc::clone(&acknowledged));
            thread::spawn(move || write(&name, &stop, &acknowledged, find))
        };
        Self { stop, acknowledged, thread: Some(thread) }
    }

    /// Waits until this many more writes are acknowledged.
    #[track_caller]
    pub(crate) fn more(&self, writes: usize) {
        let before = self.count();
        wait_for(&format!("{writes} more writes"), 120, || self.count() >= before + writes);
    }

    /// Writes acknowledged until now.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Stops, and tells.
    pub(crate) fn finish(mut self) -> Account {
        self.end();
        Account { acknowledged: std::mem::take(&mut *self.acknowledged.lock().unwrap()) }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Account {
    /// What was acknowledged in this time.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> usize {
        self.acknowledged.iter().filter(|(_, at)| (from..to).contains(at)).count()
    }

    /// The last acknowledgement.
    pub(crate) fn last(&self) -> Instant {
        self.acknowledged.last().expect("something was acknowledged").1
    }

    /// The longest time without an acknowledgement.
    pub(crate) fn gap(&self) -> Duration {
        self.acknowledged.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or_default()
    }

    /// How many keys acknowledged before this moment no node of the cluster has.
    #[track_caller]
    pub(crate) fn lost_in_cluster(&self, before: Instant, connection: &mut ClusterConnection) -> usize {
        let keys: Vec<&str> =
            self.acknowledged.iter().filter(|(_, at)| *at < before).map(|(key, _)| key.as_str()).collect();
        let mut has = |keys: &[&str]| {
            let mut pipe = cluster_pipe();
            for key in keys {
                pipe.cmd("EXISTS").arg(key);
            }
            pipe.query::<Vec<usize>>(connection).unwrap().iter().sum::<usize>()
        };
        keys.len() - keys.chunks(500).map(&mut has).sum::<usize>()
    }

    /// How many keys acknowledged before this moment this node does not have.
    #[track_caller]
    pub(crate) fn lost(&self, before: Instant, connection: &mut Connection) -> usize {
        let keys: Vec<&str> =
            self.acknowledged.iter().filter(|(_, at)| *at < before).map(|(key, _)| key.as_str()).collect();
        let have = |keys: &[&str]| redis::cmd("EXISTS").arg(keys).query::<usize>(connection).unwrap();
        keys.len() - keys.chunks(500).map(have).sum::<usize>()
    }
}

fn write<C: ConnectionLike>(
    name: &str,
    stop: &AtomicBool,
    acknowledged: &Mutex<Vec<(String, Instant)>>,
    find: impl Fn() -> Option<C>,
) {
    let mut connection = None;
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        connection = connection.or_else(&find);
        if let Some(open) = &mut connection {
            let key = format!("written:{name}:{number}");
            match redis::cmd("SET").arg(&key).arg(number).exec(open) {
                Ok(()) => acknowledged.lock().unwrap().push((key, Instant::now())),
                // Any refusal, also one of the fence, may mean that somebody else leads.
                Err(_) => connection = None,
            }
        }
        #[expect(clippy::disallowed_methods, reason = "a client's pace, in a thread of its own")]
        thread::sleep(PAUSE);
    }
}
