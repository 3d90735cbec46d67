//! A network that is cut in the middle of a move: every node is reached through a proxy of its own, which tells the
//! engine's connections from those by which nodes bring keys.

use std::{io, sync::Arc, time::Duration};

use redoubt_redis::{Connector, Endpoint};
use redoubt_slots::{Access, Event, Stop, create, plan};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::{
    harness::{Lab, PATIENCE, by_migrate},
    writers::{count, fill, filled},
};

const KEYS: usize = 20_000;
const PROXY_PORT: u16 = 6380;
/// Of one call: what is not answered is given up soon.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the link to a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Open,
    /// Nothing arrives, and nobody is told.
    Silent,
    /// Connections end, and new ones end at once.
    Cut,
}

/// Who comes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Engine,
    Nodes,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_cut_off_from_the_source_loses_nothing() {
    survives(0, Whose::Engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_cut_off_from_the_target_loses_nothing() {
    survives(1, Whose::Engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_cut_off_from_its_target_loses_nothing() {
    survives(1, Whose::Nodes).await;
}

async fn survives(end: usize, whose: Whose) {
    let net = Net::start().await;
    fill(&net.lab, KEYS, 100).await;
    for link in [Link::Silent, Link::Cut] {
        let (wanted, options) = (net.lab.plan(0, 1, 2000).await, by_migrate());
        let (seen, mut closed) = watch::channel(0);
        let report = |event: Event| {
            if matches!(event, Event::Slot { .. }) {
                seen.send_modify(|count| *count += 1);
            }
        };
        let mut running = Box::pin(net.lab.run_until(wanted, &options, Stop::never(), &report));
        tokio::select! {
            result = &mut running => panic!("it ended before the cut: {result:?}"),
            half = closed.wait_for(|count| *count >= 100) => { half.unwrap(); }
        }
        let proxy = &net.proxies[end];
        proxy.set(whose, link);
        let told = timeout(PATIENCE, running).await.expect("it waits for ever").unwrap_err().to_string();
        let hosts = [0, end].map(|index| net.lab.servers[index].endpoint.host.clone());
        assert!(hosts.iter().any(|host| told.contains(host)), "{told}");
        proxy.set(whose, Link::Open);
        net.lab.repair().await.unwrap();
        net.lab.whole().await;
        filled(&net.lab, KEYS, 100).await;
        assert_eq!(count(&net.lab).await, KEYS as u64, "keys at two nodes after {link:?}");
    }
}

/// Three masters behind proxies.
struct Net {
    lab: Lab,
    proxies: Vec<Proxy>,
}

impl Net {
    async fn start() -> Self {
        let port = PROXY_PORT.to_string();
        let args = ["--cluster-announce-port", &port, "--cluster-announce-bus-port", "16379"];
        let mut lab = Lab { access: access(), ..Lab::loose(3, &args, None) };
        let mut proxies = Vec::new();
        for server in &lab.servers {
            proxies.push(Proxy::start(server.endpoint.clone()).await);
        }
        // They meet each other at the bus, whose port is found by that of the server.
        let hosts: Vec<String> = lab.servers.iter().map(|server| server.endpoint.host.clone()).collect();
        create(&lab.access, &lab.endpoints(), &plan::layout(&hosts, 0).unwrap()).await.unwrap();
        for server in &mut lab.servers {
            server.endpoint.port = PROXY_PORT;
        }
        Self { lab, proxies }
    }
}

fn access() -> Access {
    Access::new(Connector::new(None, DEADLINE), None)
}

/// The way to one node; it ends when this is dropped.
struct Proxy {
    engine: watch::Sender<Link>,
    nodes: watch::Sender<Link>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn start(to: Endpoint) -> Self {
        let listener = TcpListener::bind((to.host.as_str(), PROXY_PORT)).await.unwrap();
        let (engine, nodes) = (watch::Sender::new(Link::Open), watch::Sender::new(Link::Open));
        let links = Arc::new((engine.clone(), nodes.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (links, to) = (links.clone(), to.clone());
                open.spawn(async move {
                    // Whatever breaks a connection is seen by who uses it.
                    carry(near, &to, &links).await.ok();
                });
            }
        });
        Self { engine, nodes, _tasks: tasks }
    }

    fn set(&self, whose: Whose, link: Link) {
        match whose {
            Whose::Engine => self.engine.send_replace(link),
            Whose::Nodes => self.nodes.send_replace(link),
        };
    }
}

/// Carries one connection; whose it is, is seen by its first words.
async fn carry(
    near: TcpStream,
    to: &Endpoint,
    (engine, nodes): &(watch::Sender<Link>, watch::Sender<Link>),
) -> io::Result<()> {
    let (mut from_near, to_near) = near.into_split();
    let mut first = vec![0; 64 * 1024];
    let length = from_near.read(&mut first).await?;
    first.truncate(length);
    let brings_keys = first.windows(14).any(|words| words == b"RESTORE-ASKING");
    let link = if brings_keys { nodes } else { engine };
    let (mut cut, first_link, back_link) = (link.subscribe(), link.subscribe(), link.subscribe());
    let both = async {
        let far = TcpStream::connect((to.host.as_str(), to.port)).await?;
        far.set_nodelay(true)?;
        let (from_far, to_far) = far.into_split();
        tokio::try_join!(
            one_way(first, from_near, to_far, first_link),
            one_way(Vec::new(), from_far, to_near, back_link),
        )
    };
    tokio::select! {
        ended = both => ended.map(drop),
        _ = cut.wait_for(|link| *link == Link::Cut) => Ok(()),
    }
}

/// What was on its way when the link fell silent arrives when it is open again, as with TCP.
async fn one_way(
    first: Vec<u8>,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
) -> io::Result<()> {
    let mut chunk = first;
    loop {
        link.wait_for(|link| *link != Link::Silent).await.map_err(io::Error::other)?;
        to.write_all(&chunk).await?;
        chunk.resize(64 * 1024, 0);
        let length = from.read(&mut chunk).await?;
        chunk.truncate(length);
        if length == 0 {
            // Its end arrives no sooner than what was sent before.
            link.wait_for(|link| *link != Link::Silent).await.map_err(io::Error::other)?;
            to.shutdown().await?;
            return Ok(());
        }
    }
}
