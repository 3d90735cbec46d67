//! Clients that write unique keys all the time, and an honest account of what became of them.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use redoubt_redis::{Connection, Connector, Endpoint};
use tokio::{sync::watch, task::JoinSet, time::sleep};

use crate::harness::Lab;

/// How a client finds its master. All of them look again only on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finds {
    /// It asks the Sentinels in turn.
    BySentinel,
    /// It takes the first node that reports master.
    ByRole,
}

#[derive(Debug, Default)]
struct Account {
    acknowledged: Vec<(String, Instant)>,
}

/// Clients at work.
pub(crate) struct Writers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    account: Arc<Mutex<Account>>,
}

/// What the clients saw.
pub(crate) struct Outcome {
    pub(crate) acknowledged: usize,
    /// Acknowledged, and not there any more.
    pub(crate) lost: usize,
    /// The longest time without an acknowledgement.
    pub(crate) gap: Duration,
    clients: usize,
}

impl Outcome {
    /// Nothing is lost but what a server that is killed keeps from everybody: of several clients whose commands it reads in one
    /// turn, all but the first are answered before the replicas are sent anything (`handleClientsWithPendingWrites` goes
    /// from the last to the first).
    #[track_caller]
    pub(crate) fn lost_no_more_than_a_kill_does(&self) {
        assert!(self.lost < self.clients, "{} of {} are lost", self.lost, self.acknowledged);
    }
}

impl Writers {
    /// Starts this many clients of each kind, and waits until each kind has written.
    pub(crate) async fn start(lab: &Lab, each: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let account = Arc::new(Mutex::new(Account::default()));
        let mut tasks = JoinSet::new();
        for number in 0..2 * each {
            let client = Client {
                name: format!("w{number}"),
                finds: if number % 2 == 0 { Finds::BySentinel } else { Finds::ByRole },
                nodes: lab.nodes.iter().map(|node| node.at.clone()).collect(),
                sentinels: lab.sentinels.iter().map(|sentinel| sentinel.at.clone()).collect(),
                at_nodes: lab.at_nodes.clone(),
                at_sentinels: lab.at_sentinels.clone(),
            };
            tasks.spawn(client.write(Arc::clone(&account), stopped.clone()));
        }
        let writers = Self { tasks, stop, account };
        while writers.account.lock().unwrap().acknowledged.len() < 50 * each {
            sleep(Duration::from_millis(5)).await;
        }
        writers
    }

    /// Lets them write this long.
    pub(crate) async fn go_on(&self, time: Duration) {
        sleep(time).await;
    }

    /// Stops them and reads everything back at this node.
    pub(crate) async fn finish(mut self, lab: &Lab, master: usize) -> Outcome {
        self.stop.send(true).unwrap();
        let clients = self.tasks.len();
        while self.tasks.join_next().await.is_some() {}
        let account = std::mem::take(&mut *self.account.lock().unwrap());
        let mut connection = lab.node(master).await;
        let mut lost = 0;
        for keys in account.acknowledged.chunks(500) {
            let commands: Vec<Vec<&str>> = keys.iter().map(|(key, _)| vec!["EXISTS", key]).collect();
            let replies = connection.pipeline(&commands).await.unwrap();
            lost += replies.into_iter().filter(|reply| reply.as_ref().unwrap().as_i64() != Ok(1)).count();
        }
        let mut times: Vec<Instant> = account.acknowledged.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        Outcome { acknowledged: times.len(), lost, gap, clients }
    }
}

struct Client {
    name: String,
    finds: Finds,
    nodes: Vec<Endpoint>,
    sentinels: Vec<Endpoint>,
    at_nodes: Connector,
    at_sentinels: Connector,
}

impl Client {
    async fn write(self, account: Arc<Mutex<Account>>, stopped: watch::Receiver<bool>) {
        let mut number = 0_u32;
        let mut connection: Option<Connection> = None;
        while !*stopped.borrow() {
            let Some(open) = &mut connection else {
                connection = self.connect().await;
                if connection.is_none() {
                    sleep(Duration::from_millis(2)).await;
                }
                continue;
            };
            number += 1;
            let key = format!("{}:{number}", self.name);
            match open.call(&["SET", &key, "x"]).await {
                Ok(_) => account.lock().unwrap().acknowledged.push((key, Instant::now())),
                Err(error) if error.code() == Some("NOREPLICAS") => sleep(Duration::from_millis(1)).await,
                Err(_) => connection = None,
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn connect(&self) -> Option<Connection> {
        match self.finds {
            Finds::BySentinel => self.connect_by_sentinel().await,
            Finds::ByRole => self.connect_by_role().await,
        }
    }

    async fn connect_by_sentinel(&self) -> Option<Connection> {
        for sentinel in &self.sentinels {
            let Ok(mut asked) = self.at_sentinels.connect(sentinel).await else { continue };
            let Ok(Some(master)) = asked.sentinel_get_master_addr("mymaster").await else { continue };
            if let Ok(connection) = self.at_nodes.connect(&master).await {
                return Some(connection);
            }
        }
        None
    }

    async fn connect_by_role(&self) -> Option<Connection> {
        for node in &self.nodes {
            let Ok(mut connection) = self.at_nodes.connect(node).await else { continue };
            if connection.role().await.is_ok_and(|role| role.is_master()) {
                return Some(connection);
            }
        }
        None
    }
}
