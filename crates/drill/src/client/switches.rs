//! Listens to `+switch-master` at every Sentinel, as client libraries do that want to know before an error tells them.

use std::time::Duration;

use futures::StreamExt as _;
use redis::{Client, RedisResult};
use tokio::{sync::watch, task::JoinSet};

use super::node_client;
use crate::Target;

/// Pause before a Sentinel that closed the connection is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// The announcements of all Sentinels. Its tasks end with it.
pub(crate) struct Switches {
    announced: watch::Receiver<String>,
    _tasks: JoinSet<()>,
}

impl Switches {
    /// Listens at every Sentinel of the set; `None` where there are none.
    pub(crate) fn listen(target: &Target) -> Option<Self> {
        let config = target.config.sentinel()?;
        let (sender, announced) = watch::channel(String::new());
        let mut tasks = JoinSet::new();
        for sentinel in &config.sentinels {
            if let Ok(client) = node_client(target.reached(&sentinel.server), target.sentinel_password()) {
                tasks.spawn(listen(client, config.master_name.clone(), sender.clone()));
            }
        }
        Some(Self { announced, _tasks: tasks })
    }

    /// A receiver that changes when another master is announced.
    pub(crate) fn subscribe(&self) -> watch::Receiver<String> {
        self.announced.clone()
    }
}

async fn listen(client: Client, master_name: String, announced: watch::Sender<String>) {
    while !announced.is_closed() {
        // A Sentinel that is gone is one of several: the others announce the same.
        let _ = follow(&client, &master_name, &announced).await;
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(client: &Client, master_name: &str, announced: &watch::Sender<String>) -> RedisResult<()> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe("+switch-master").await?;
    let mut messages = subscription.into_on_message();
    while let Some(message) = messages.next().await {
        if let Some(address) = new_address(&message.get_payload::<String>()?, master_name) {
            announced.send_if_modified(|last| {
                let other = *last != address;
                last.clone_from(&address);
                other
            });
        }
    }
    Ok(())
}

/// `<master name> <old ip> <old port> <new ip> <new port>`: every Sentinel says the same once.
fn new_address(payload: &str, master_name: &str) -> Option<String> {
    let mut words = payload.split(' ');
    let named = words.next()? == master_name;
    let (ip, port) = (words.nth(2)?, words.next()?);
    named.then(|| format!("{ip}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_announcements_of_our_master_count() {
        let seen = |payload| new_address(payload, "mymaster");
        assert_eq!(seen("mymaster 10.0.0.1 6379 10.0.0.2 6380").as_deref(), Some("10.0.0.2:6380"));
        assert_eq!(seen("other 10.0.0.1 6379 10.0.0.2 6380"), None);
        assert_eq!(seen("mymaster 10.0.0.1"), None);
        assert_eq!(seen(""), None);
    }
}
