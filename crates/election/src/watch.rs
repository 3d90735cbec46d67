//! Listening at the Sentinels.

use std::time::Duration;

use redoubt_redis::{
    Connector, Endpoint, Error, Message, Subscription,
    sentinel::{CHANNELS, Event},
};
use redoubt_wire::config::{SentinelConfig, SentinelEntry};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tracing::debug;

/// Something heard at one Sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// Name of the Sentinel.
    pub sentinel: String,
    /// What.
    pub news: News,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// We listen (again), and asked at once: whatever was published before is in here.
    Up {
        /// Whom it names master.
        names: Option<Endpoint>,
        /// Its config epoch.
        epoch: u64,
    },
    /// We do not hear it any more.
    Down {
        /// Why, for people.
        why: String,
    },
    /// `+switch-master`.
    Switched {
        /// The master before.
        old: Endpoint,
        /// The master now.
        new: Endpoint,
    },
    /// `+new-epoch`.
    NewEpoch {
        /// The epoch.
        epoch: u64,
    },
    /// `+vote-for-leader`.
    Voted {
        /// Id of the candidate.
        leader: String,
        /// In which epoch.
        epoch: u64,
    },
}

/// Events that may wait to be taken. A failover makes some ten per Sentinel; who does not take them for longer
/// than that holds the reader up, and the Sentinel's own output buffer takes over.
const QUEUE: usize = 256;

/// First and longest pause before the next try at a Sentinel that is out of reach.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The parts of `downAfter` after which a silent Sentinel is asked whether it is there, and may take to answer. A link
/// that swallows packets says nothing by itself; with these two and the fence's own pause a master knows it well before
/// anybody else may be elected. 1 s to answer: a Sentinel writes its vote to disk before it does anything else.
const PING_AFTER_TENTHS: u32 = 1;
const PONG_WITHIN_TENTHS: u32 = 2;
/// `downAfter` may be long; `min-replicas-max-lag`, the other half of the fence, is not for that.
const LONGEST: Duration = Duration::from_secs(5);

/// Listens as long as it lives.
#[derive(Debug)]
pub struct Watch {
    _listeners: JoinSet<()>,
}

/// Listens to every Sentinel of the set, each on a connection of its own, again and again.
///
/// # Guarantees
/// Nothing is missed for good: the subscription is made first, then the Sentinel is asked whom it names, and
/// [`News::Up`] tells it. Events of one Sentinel come in its order.
#[must_use]
pub fn watch(config: &SentinelConfig, connector: &Connector) -> (Watch, mpsc::Receiver<WatchEvent>) {
    let (events, heard) = mpsc::channel(QUEUE);
    let mut listeners = JoinSet::new();
    for entry in &config.sentinels {
        let listener = Listener {
            master_name: config.master_name.clone(),
            heartbeat: heartbeat(Duration::from_millis(config.down_after_ms)),
            entry: entry.clone(),
            connector: connector.clone(),
            events: events.clone(),
        };
        listeners.spawn(listener.listen());
    }
    (Watch { _listeners: listeners }, heard)
}

fn heartbeat(down_after: Duration) -> (Duration, Duration) {
    let base = down_after.min(LONGEST);
    (base * PING_AFTER_TENTHS / 10, base * PONG_WITHIN_TENTHS / 10)
}

struct Listener {
    master_name: String,
    heartbeat: (Duration, Duration),
    entry: SentinelEntry,
    connector: Connector,
    events: mpsc::Sender<WatchEvent>,
}

/// Nobody takes the events any more.
struct Deaf;

impl Listener {
    async fn listen(self) {
        let mut pause = BACKOFF.0;
        loop {
            let why = match self.begin().await {
                Ok((subscription, news)) => {
                    pause = BACKOFF.0;
                    if self.tell(news).await.is_err() {
                        return;
                    }
                    match self.follow(subscription).await {
                        Ok(error) => error,
                        Err(Deaf) => return,
                    }
                }
                Err(error) => error,
            };
            debug!(sentinel = %self.entry.name, %why, "not listening");
            if self.tell(News::Down { why: why.to_string() }).await.is_err() {
                return;
            }
            sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    async fn begin(&self) -> Result<(Subscription, News), Error> {
        let connection = self.connector.connect(&self.entry.server).await?;
        let (ping_after, pong_within) = self.heartbeat;
        let subscription = connection.subscribe(&CHANNELS).await?.with_heartbeat(ping_after, pong_within);
        let mut asking = self.connector.connect(&self.entry.server).await?;
        let names = asking.sentinel_get_master_addr(&self.master_name).await?;
        let epoch = match names {
            Some(_) => asking.sentinel_master(&self.master_name).await?.config_epoch,
            None => 0,
        };
        Ok((subscription, News::Up { names, epoch }))
    }

    async fn follow(&self, mut subscription: Subscription) -> Result<Error, Deaf> {
        loop {
            match subscription.next().await {
                Ok(message) => {
                    if let Some(news) = news(&message, &self.master_name) {
                        self.tell(news).await?;
                    }
                }
                Err(error) => return Ok(error),
            }
        }
    }

    async fn tell(&self, news: News) -> Result<(), Deaf> {
        let event = WatchEvent { sentinel: self.entry.name.clone(), news };
        self.events.send(event).await.map_err(|_| Deaf)
    }
}

/// What a message says about this master, if anything.
fn news(message: &Message, master_name: &str) -> Option<News> {
    match Event::read(message) {
        Ok(Some(Event::SwitchMaster { name, from, to })) if name == master_name => {
            Some(News::Switched { old: from, new: to })
        }
        Ok(Some(Event::NewEpoch { epoch })) => Some(News::NewEpoch { epoch }),
        Ok(Some(Event::VoteForLeader { id, epoch })) => Some(News::Voted { leader: id, epoch }),
        Ok(_) => None,
        Err(fault) => {
            debug!(channel = message.channel, %fault, "a Sentinel published something else than usual");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(channel: &str, text: &str) -> Option<News> {
        let payload = text.to_owned().into();
        news(&Message { channel: channel.to_owned(), payload }, "mymaster")
    }

    #[test]
    fn what_sentinels_publish_is_understood() {
        assert_eq!(
            heard("+switch-master", "mymaster 127.0.0.1 6379 127.0.0.2 6380"),
            Some(News::Switched {
                old: Endpoint::new("127.0.0.1", 6379),
                new: Endpoint::new("127.0.0.2", 6380)
            })
        );
        assert_eq!(heard("+new-epoch", "7"), Some(News::NewEpoch { epoch: 7 }));
        assert_eq!(heard("+vote-for-leader", "abc 7"), Some(News::Voted { leader: "abc".into(), epoch: 7 }));
    }

    #[test]
    fn another_masters_switch_and_nonsense_are_no_news() {
        assert_eq!(heard("+switch-master", "other 127.0.0.1 6379 127.0.0.2 6380"), None);
        assert_eq!(heard("+switch-master", "mymaster 127.0.0.1 x 127.0.0.2 6380"), None);
        assert_eq!(heard("+new-epoch", ""), None);
        assert_eq!(heard("+sdown", "master mymaster 127.0.0.1 6379"), None);
    }
}
