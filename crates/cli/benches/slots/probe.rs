//! A client of the source while its slots move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use redoubt_redis::Endpoint;

use crate::Result;

/// A thousand questions a second, one after the other.
const PERIOD: Duration = Duration::from_millis(1);

/// Asks until it is told to finish.
pub(crate) struct Probe {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Result<Vec<Duration>>>,
}

impl Probe {
    pub(crate) fn start(source: &Endpoint, keys: Vec<String>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut connection = redis::Client::open(format!("redis://{source}"))?.get_connection()?;
        let stopped = Arc::clone(&stop);
        let asking = thread::spawn(move || {
            let mut waits = Vec::new();
            let mut next = Instant::now();
            for key in keys.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                #[expect(clippy::disallowed_methods, reason = "a client's pace, in a thread of its own")]
                thread::sleep(next.saturating_duration_since(Instant::now()));
                let asked = Instant::now();
                match redis::cmd("GET").arg(key).exec(&mut connection) {
                    Ok(()) => {}
                    // It was answered: the key is elsewhere.
                    Err(error) if error.redirect_node().is_some() => {}
                    Err(error) => return Err(error.into()),
                }
                waits.push(asked.elapsed());
                next = (next + PERIOD).max(Instant::now());
            }
            Ok(waits)
        });
        Ok(Self { stop, asking })
    }

    /// How long each answer took.
    pub(crate) fn finish(self) -> Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().map_err(|_| "the client ended without a word")?
    }
}
