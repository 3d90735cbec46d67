//! What a node of a cluster does beyond its server: find out as what to start, find its place, have another one lead.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use futures::future::join_all;
use jiff::Timestamp;
use redoubt_election::{Moment, Report, Request, Verdict};
use redoubt_redis::cluster::ClusterNodes;
use redoubt_serverconf::{CLUSTER_MEMORY, files::off_thread};
use redoubt_slots::{Access, create, plan::layout_of_shards};
use redoubt_wire::{
    config::NodeEntry,
    failover::{Cause, Failover, Outcome, StepTime},
    state::Replication,
};

use super::{
    Node, Role,
    durable::Beginning,
    enter::{FIRST_LOOK, SLOWEST_LOOK},
    look::Seen,
    serve::Watchman,
    strays::Search,
};
use crate::{
    agent::ANSWER,
    boot::ask_nodes,
    cluster::{
        self, ACCEPT_LOSS, Ask, Candidate, Decision, Memory, Situation, StartAs, Survey, Tend, ask,
        candidates, is_amiss, is_forgotten,
    },
    kept::Kept,
    record,
    server::Server,
};

/// Says that this node began to form the cluster.
const FORMING: &str = "redoubt-forming";
/// Nodes meet within a second or two, and serve two seconds after their start.
const FORMED_WITHIN: Duration = Duration::from_secs(20);
/// Somebody else may be doing it already.
const TEND_AGAIN: Duration = Duration::from_millis(250);
/// Between two requests for an election, which costs the masters a vote.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Nodes ping each other every second at the latest, as long as there are not many; a link to an address behind which there
/// is a new process is made anew within a node timeout.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);
/// A server learns within this that its slots are another's.
const DEPOSED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What is known of the cluster while one server runs.
#[derive(Debug, Default)]
pub(super) struct Tending {
    /// It started without a place in the cluster.
    pub(super) blank: bool,
    /// Since when this replica has no link to its master.
    pub(super) unled_since: Option<Moment>,
    /// When the others were asked last.
    pub(super) asked: Option<Moment>,
    /// What was told last.
    pub(super) told: String,
    /// Of keys that nobody is served from.
    pub(super) search: Search,
}

impl Node {
    /// The nodes that hold the same data, but this one.
    fn shard(&self) -> impl Iterator<Item = &NodeEntry> {
        self.agent.set.same_data(&self.me).filter(|node| node.name != self.me.name)
    }

    pub(super) fn is_clustered(&self) -> bool {
        self.agent.set.cluster().is_some()
    }

    /// Waits until this node of a cluster may start, and as what. `None`: it was asked to stop.
    pub(super) async fn enter_cluster(&mut self) -> Option<Role> {
        // Its agent may not have seen yet what the server there has said.
        let replaced = std::mem::take(&mut self.replaced);
        if replaced && self.memory().await.is_ok_and(|memory| memory.is_some()) {
            return self.role(StartAs::Follower { led: true }).await.ok();
        }
        let mut pause = FIRST_LOOK;
        let mut told = String::new();
        loop {
            let survey = match self.survey().await {
                Ok(survey) => survey,
                Err(why) => {
                    self.tell_waiting(&mut told, why, None);
                    if self.rest(SLOWEST_LOOK).await {
                        return None;
                    }
                    continue;
                }
            };
            match cluster::decide(&self.agent.set, &survey) {
                Decision::Start(start) => match self.role(start).await {
                    Ok(role) => return Some(role),
                    Err(error) => self.tell_waiting(&mut told, error.to_string(), None),
                },
                Decision::SetAside { why } => match self.set_aside(why).await {
                    Ok(()) => pause = FIRST_LOOK,
                    Err(error) => self.tell_waiting(&mut told, error.to_string(), None),
                },
                Decision::Ask { why } => {
                    self.tell_waiting(&mut told, why, None);
                    pause = self.ask_away(&survey, &mut told).await.unwrap_or(pause);
                }
                Decision::Wait { why } => self.tell_waiting(&mut told, why, None),
            }
            if self.rest(pause).await {
                return None;
            }
            pause = (pause * 2).min(SLOWEST_LOOK);
        }
    }

    /// Has the best replica stand for election in place of this node; gives how long to wait then.
    async fn ask_away(&mut self, survey: &Survey, told: &mut String) -> Option<Duration> {
        let best = candidates(&self.agent.set, &self.me.name, &survey.shard).into_iter().next()?;
        let request = self.request(Cause::Return, self.me.server.clone(), None);
        let report = self.have_lead(request, &best, Ask::Force).await;
        let Some(failed) = report.verdict.why() else { return Some(FIRST_LOOK) };
        self.tell_waiting(told, self.stuck(&best, failed), None);
        Some(ASK_AGAIN)
    }

    /// What to do when the masters do not vote.
    fn stuck(&self, best: &Candidate, failed: &str) -> String {
        format!(
            "{failed}; {} holds the data of {}, which has none or older: if the masters have lost their majority for good, send CLUSTER FAILOVER TAKEOVER to {}",
            best.name, self.me.name, best.server
        )
    }

    async fn survey(&mut self) -> Result<Survey, String> {
        let own = self.own_record().await.map_err(|fault| fault.to_string())?;
        self.agent.shared.update_node(|node| node.on_disk.clone_from(&own));
        let dir = self.agent.args.data.clone();
        let memory = self.memory().await.map_err(|error| {
            format!(
                "{}: {error}; who this node is in the cluster is not known: bring the file back, or remove it, and it joins anew",
                dir.join(CLUSTER_MEMORY).display()
            )
        })?;
        let shard = ask_nodes(self.shard(), &self.agent.peers).await;
        let forgotten = match memory.as_ref().filter(|memory| memory.slots.is_empty()) {
            Some(memory) if !cluster::is_led(&shard) => is_forgotten(memory, &self.elsewhere().await),
            _ => false,
        };
        Ok(Survey {
            me: self.me.name.clone(),
            own,
            memory,
            shard,
            forgotten,
            persistent: self.is_persistent(),
            loss_accepted: off_thread(move || dir.join(ACCEPT_LOSS).exists()).await,
            forming: self.is_forming().await,
        })
    }

    /// The cluster in the words of each node of another shard that answers.
    async fn elsewhere(&self) -> Vec<ClusterNodes> {
        let others = self.agent.set.nodes.iter().filter(|node| node.shard != self.me.shard);
        let ask = async |node: &NodeEntry| {
            let mut connection = self.agent.nodes.connect(&node.server).await.ok()?;
            connection.cluster_nodes().await.ok()
        };
        join_all(others.map(ask)).await.into_iter().flatten().collect()
    }

    /// Who this node was in the cluster.
    async fn memory(&self) -> io::Result<Option<Memory>> {
        let dir = self.agent.args.data.clone();
        off_thread(move || cluster::load(&dir)).await
    }

    async fn role(&self, start: StartAs) -> io::Result<Role> {
        Ok(match start {
            StartAs::Leader => {
                self.agent.shared.notice("Leads", "starts as master, with its data", false);
                Role { joined: true, ..Role::default() }
            }
            StartAs::LeaderAnew => {
                remove(self.agent.args.data.join(ACCEPT_LOSS)).await?;
                self.agent.shared.notice(
                    "LeadsAnew",
                    "starts as master of its slots, without any data",
                    true,
                );
                Role { beginning: Beginning::LeadAnew, joined: true, ..Role::default() }
            }
            StartAs::Follower { led } => {
                Role { beginning: Beginning::Follow { data_set: None }, led, ..Role::default() }
            }
            StartAs::Blank => {
                Role { beginning: Beginning::Follow { data_set: None }, blank: true, ..Role::default() }
            }
        })
    }

    /// Nothing is thrown away: the files get a folder of their own. Who this node was goes last: cut off before, it is put
    /// aside at the next try.
    async fn set_aside(&self, why: &str) -> io::Result<()> {
        let dir = self.agent.args.data.clone();
        let aside = dir.join(format!("set-aside-{}", Timestamp::now().as_second()));
        let to = aside.clone();
        off_thread(move || {
            fs::create_dir_all(&to)?;
            for name in record::FILES.into_iter().chain([CLUSTER_MEMORY]) {
                match fs::rename(dir.join(name), to.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
            }
            Ok(())
        })
        .await?;
        let what =
            format!("{why}: this node joins anew, without data; what it had is in {}", aside.display());
        self.agent.shared.notice("DataSetAside", what, true);
        Ok(())
    }

    /// Finds the node's place in the cluster, and what keeps it from it.
    pub(super) async fn tend(&mut self, server: &mut Server, watchman: &mut Watchman) {
        let now = self.agent.clock.now();
        let Some(seen) = watchman.seen.clone() else { return };
        let Some(in_cluster) = &seen.cluster else { return };
        self.own_slots(server, watchman, &seen).await;
        self.join(server, watchman).await;
        self.search_strays(&mut watchman.tending.search, seen.leads());
        let forming = self.is_forming().await;
        let unled = matches!(&seen.replication, Replication::Replica { .. }) && !seen.is_connected();
        let tending = &mut watchman.tending;
        tending.unled_since = unled.then(|| tending.unled_since.unwrap_or(now));
        let situation = Situation {
            set: &self.agent.set,
            me: &self.me,
            seen: in_cluster,
            on_disk: self.durable.on_disk(),
            keys: seen.live.keys,
            offset: seen.offset,
            joined: watchman.joined,
            unled_for: tending.unled_since.map(|since| now.since(since)),
            forming,
        };
        let amiss = is_amiss(&situation);
        if amiss && tending.asked.is_some_and(|asked| now.since(asked) < TEND_AGAIN) {
            return;
        }
        let peers = if amiss {
            tending.asked = Some(now);
            let others = self.agent.set.nodes.iter().filter(|node| node.name != self.me.name);
            ask_nodes(others, &self.agent.peers).await
        } else {
            Vec::new()
        };
        let Some(next) = cluster::next(&situation, &peers) else {
            tending.told.clear();
            return;
        };
        let said = describe(&next);
        if tending.told != said {
            self.agent.shared.notice("Cluster", said.as_str(), matches!(next, Tend::Tell(_)));
            tending.told = said;
        }
        if let Err(why) = self.put_right(server, next).await {
            tracing::warn!(%why, "the node's place in the cluster is still amiss; tried again");
        }
    }

    /// A node that started without a place and owns slots now begins a data set: the cluster was formed with it.
    async fn own_slots(&mut self, server: &mut Server, watchman: &mut Watchman, seen: &Seen) {
        if watchman.joined || !watchman.tending.blank || !seen.leads() || !self.make_electable(server).await {
            return;
        }
        if let Err(error) = self.durable.begin_data_set().await {
            tracing::warn!(%error, "the data set of this shard has no record yet; tried again");
            return;
        }
        watchman.joined = true;
        self.agent.shared.update_node(|node| node.joined = true);
    }

    async fn put_right(&mut self, server: &mut Server, next: Tend) -> Result<(), String> {
        let told = |error: redoubt_redis::Error| error.to_string();
        match next {
            Tend::Form => self.form().await,
            Tend::Formed => {
                remove(self.agent.args.data.join(FORMING)).await.map_err(|error| error.to_string())?;
                self.forming = Some(false);
                Ok(())
            }
            Tend::Meet(node) => {
                server.connection().await.map_err(told)?.cluster_meet(&node).await.map_err(told)
            }
            Tend::Follow(master) => {
                server.connection().await.map_err(told)?.cluster_replicate(&master).await.map_err(told)
            }
            Tend::Forget(node) => {
                server.connection().await.map_err(told)?.cluster_forget(&node).await.map_err(told)
            }
            Tend::StandForElection => {
                let replaces = self.last_seen_master().unwrap_or_else(|| self.me.server.clone());
                let me = Candidate {
                    name: self.me.name.clone(),
                    server: self.me.server.clone(),
                    offset: self.last_seen.as_ref().map_or(0, |seen| seen.offset),
                    can_write: true,
                };
                let request = self.request(Cause::Outage, replaces, Some(self.me.name.clone()));
                let report = self.have_lead(request, &me, Ask::Force).await;
                report.verdict.why().map_or(Ok(()), |why| Err(why.to_owned()))
            }
            Tend::Tell(_) => Ok(()),
        }
    }

    async fn is_forming(&mut self) -> bool {
        if let Some(forming) = self.forming {
            return forming;
        }
        let note = self.agent.args.data.join(FORMING);
        let forming = off_thread(move || note.exists()).await;
        self.forming = Some(forming);
        forming
    }

    fn last_seen_master(&self) -> Option<redoubt_redis::Endpoint> {
        match &self.agent.shared.snapshot().role {
            redoubt_wire::state::AgentRole::Node(node) => match &node.replication {
                Some(Replication::Replica { master, .. }) => Some(master.clone()),
                Some(Replication::Master { .. }) | None => None,
            },
            redoubt_wire::state::AgentRole::Sentinel(_) => None,
        }
    }

    /// Makes one cluster of all nodes; the first ones of the shards lead. Where it was cut off before, what is half done is
    /// undone first, unless there is a key.
    async fn form(&mut self) -> Result<(), String> {
        let again = self.is_forming().await;
        let note = self.agent.args.data.join(FORMING);
        let at = note.display().to_string();
        off_thread(move || fs::write(note, "")).await.map_err(|error| format!("{at}: {error}"))?;
        self.forming = Some(true);
        let nodes = &self.agent.set.nodes;
        if again {
            self.undo_forming().await?;
        }
        let servers: Vec<_> = nodes.iter().map(|node| node.server.clone()).collect();
        let access = Access::new(self.agent.nodes.clone(), None);
        let layout = layout_of_shards(nodes.iter().map(|node| node.shard));
        match tokio::time::timeout(FORMED_WITHIN, create(&access, &servers, &layout)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the cluster was not whole within {FORMED_WITHIN:?}")),
        }
    }

    async fn undo_forming(&self) -> Result<(), String> {
        let mut connections = Vec::new();
        for node in &self.agent.set.nodes {
            let mut connection =
                self.agent.nodes.connect(&node.server).await.map_err(|error| error.to_string())?;
            let keys = connection.dbsize().await.map_err(|error| format!("{}: {error}", node.name))?;
            if keys > 0 {
                return Err(format!(
                    "{} holds {keys} keys: the cluster is in use, and is not formed anew",
                    node.name
                ));
            }
            connections.push((&node.name, connection));
        }
        for (name, connection) in &mut connections {
            connection.cluster_reset().await.map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    /// The server ended, and it led: the best replica stands for election at once.
    pub(super) async fn have_replaced(&mut self, cause: Cause) {
        let shard = ask_nodes(self.shard(), &self.agent.peers).await;
        let request = self.request(cause, self.me.server.clone(), None);
        if let Some(best) = candidates(&self.agent.set, &self.me.name, &shard).first() {
            self.have_lead(request, best, Ask::Force).await;
        }
    }

    /// Hands the slots over to a replica in sync, and waits until the own server has stepped down.
    pub(super) async fn hand_slots_over(&mut self, server: &mut Server, request: Request) -> Report {
        let shard = ask_nodes(self.shard(), &self.agent.peers).await;
        let asked = candidates(&self.agent.set, &self.me.name, &shard);
        let wanted = |one: &Candidate| request.to.as_ref().map_or(one.can_write, |to| *to == one.name);
        let Some(heir) = asked.into_iter().find(wanted) else {
            let why = "no replica of this shard is in sync, and can write its files".to_owned();
            let failover = self.failover(&request, Instant::now(), Timestamp::now(), None, &Err(why.clone()));
            return Report { failover, verdict: Verdict::RetryAfter { why, after: ASK_AGAIN } };
        };
        if !self.waits_for_voters(server, &heir).await {
            let why =
                format!("no majority of the masters reaches {} yet: it would not be elected", heir.name);
            let failover = self.failover(&request, Instant::now(), Timestamp::now(), None, &Err(why.clone()));
            return Report { failover, verdict: Verdict::RetryAfter { why, after: ASK_AGAIN } };
        }
        let report = self.have_lead(request, &heir, Ask::HandOver).await;
        if report.verdict == Verdict::Done {
            let until = Instant::now() + DEPOSED_WITHIN;
            while Instant::now() < until && still_leads(server).await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        report
    }

    /// Waits until the own server listens to the heir, and a majority of the masters could answer it. An election of which
    /// the votes are lost is repeated by the server after 20 s at the earliest.
    async fn waits_for_voters(&self, server: &mut Server, heir: &Candidate) -> bool {
        let node_timeout = self.agent.set.cluster().map_or(0, |cluster| cluster.node_timeout_ms);
        let until = Instant::now() + KNOWN_WITHIN + Duration::from_millis(node_timeout);
        let mut there = Kept::new(heir.server.clone(), self.agent.nodes.with_deadline(ANSWER));
        loop {
            let reached = is_reached(&mut there).await;
            if (reached && is_known(server, heir).await) || Instant::now() > until {
                return reached;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Has this replica lead, and remembers what became of it.
    async fn have_lead(&mut self, request: Request, heir: &Candidate, how: Ask) -> Report {
        let (began, at) = (Instant::now(), Timestamp::now());
        let asked = ask(&self.agent.nodes.with_deadline(ANSWER), &heir.server, how).await;
        let failover = self.failover(&request, began, at, Some(heir), &asked);
        let verdict = match asked {
            Ok(epoch) => {
                self.durable.heard_epoch(epoch);
                self.replaced = heir.name != self.me.name;
                Verdict::Done
            }
            Err(why) => Verdict::RetryAfter { why, after: ASK_AGAIN },
        };
        let report = Report { failover, verdict };
        self.remember(&report);
        report
    }

    fn failover(
        &self,
        request: &Request,
        began: Instant,
        at: Timestamp,
        heir: Option<&Candidate>,
        asked: &Result<u64, String>,
    ) -> Failover {
        let took = began.elapsed();
        let done = asked.is_ok();
        Failover {
            id: request.id.clone(),
            cause: request.cause,
            led_by: Some(self.me.name.clone()),
            epoch: asked.as_ref().ok().copied(),
            votes: Vec::new(),
            old_master: Some(request.replaces.clone()),
            new_master: heir.filter(|_| done).map(|heir| heir.server.clone()),
            old_offset: request.old_offset,
            new_offset: heir.filter(|_| done).map(|heir| heir.offset),
            started_at: at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            steps: vec![StepTime {
                step: "vote".to_owned(),
                at_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            }],
            outcome: match asked {
                Ok(_) => Outcome::Done,
                Err(why) => Outcome::Stopped { why: why.clone() },
            },
        }
    }
}

/// The own server knows the heir for its replica, and will listen to it: after a change of master it hears of that only with
/// the next ping.
async fn is_known(server: &mut Server, heir: &Candidate) -> bool {
    let Ok(connection) = server.connection().await else { return false };
    let Ok(nodes) = connection.cluster_nodes().await else { return false };
    let id = &nodes.myself.id;
    nodes.others.iter().any(|node| node.endpoint == heir.server && node.master.as_ref() == Some(id))
}

/// The votes of a majority of the masters would come. Servers before 7.0 do not tell.
async fn is_reached(heir: &mut Kept) -> bool {
    let asked = async {
        let connection = heir.get().await?;
        Ok((connection.cluster_nodes().await?, connection.cluster_links_from().await))
    };
    match asked.await {
        Ok((nodes, Ok(from))) => cluster::reached_by_majority(&nodes, &from),
        Ok((_, Err(redoubt_redis::Error::Server { .. }))) => true,
        Ok((_, Err(_))) | Err::<_, redoubt_redis::Error>(_) => false,
    }
}

async fn still_leads(server: &mut Server) -> bool {
    let Ok(connection) = server.connection().await else { return false };
    connection.cluster_nodes().await.is_ok_and(|nodes| !nodes.myself.slots.is_empty())
}

async fn remove(path: std::path::PathBuf) -> io::Result<()> {
    match off_thread(move || fs::remove_file(path)).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn describe(next: &Tend) -> String {
    match next {
        Tend::Form => "all nodes answered and none has data: forms the cluster".to_owned(),
        Tend::Formed => "all slots have an owner: the cluster is formed".to_owned(),
        Tend::Meet(node) => format!("meets {node}"),
        Tend::Follow(master) => format!("follows {}, which leads its shard", master.short()),
        Tend::Forget(node) => format!("forgets {}, which is no more", node.short()),
        Tend::StandForElection => {
            "nobody leads the shard and no node that answers holds more of its data: stands for election"
                .to_owned()
        }
        Tend::Tell(what) => what.clone(),
    }
}
