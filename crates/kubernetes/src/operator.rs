//! `redoubt operator`: leads, watches, and lets the engine work.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use kube::{
    Client, Config,
    runtime::events::{Recorder, Reporter},
};
use redoubt_api::ResourceKind;
use redoubt_engine::{Change, Engine};
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::{
    access::Cluster,
    error::OperatorError,
    feed::Feed,
    leader::Leader,
    names::labels::MANAGER,
    platform::KubernetesPlatform,
    serve::{Shown, serve},
    stand_in::{StandIns, Ways},
    stores::{News, Scope, Stores},
};

/// News on their way to the engine. A full queue slows the watches down and loses nothing.
const QUEUE: usize = 256;

/// How the operator works.
#[derive(Debug, Clone)]
pub struct OperatorOptions {
    /// The image with `redoubt-agent`, for new pods.
    pub agent_image: String,
    /// The only namespace to look after; all of them when absent.
    pub namespace: Option<String>,
    /// Where the Lease is; the pod's own namespace, or `default`, when absent.
    pub lease_namespace: Option<String>,
    /// Who this is among operators: the pod's name.
    pub holder: String,
    /// Metrics and health.
    pub listen: SocketAddr,
}

/// Works until `asked_to_end` resolves, or it must not go on.
pub async fn run(
    options: OperatorOptions,
    asked_to_end: impl Future<Output = ()>,
) -> Result<(), OperatorError> {
    // Installed already when several parts of a program use it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::infer().await.map_err(|error| OperatorError::Config(error.to_string()))?;
    let own_namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| OperatorError::Config(error.to_string()))?;
    let cluster = Cluster::new(client);
    let engine = Engine::new();
    let (leads, sees) = (watch::Sender::new(false), watch::Sender::new(false));
    let shown = Shown { views: engine.views(), leads: leads.subscribe(), sees: sees.subscribe() };
    let _served = serve(options.listen, shown).await?;
    let lease_namespace = options.lease_namespace.clone().unwrap_or(own_namespace);
    let mut leader = Leader::new(&cluster, &lease_namespace, options.holder.clone());
    let mut end = std::pin::pin!(asked_to_end);
    tokio::select! {
        () = leader.acquire() => {}
        () = &mut end => return Ok(()),
    }
    leads.send_replace(true);
    let outcome = tokio::select! {
        () = work(&cluster, &engine, &options, &sees) => Ok(()),
        lost = leader.keep() => Err(lost),
        () = &mut end => Ok(()),
    };
    if outcome.is_ok() {
        leader.release().await;
    }
    info!("the operator ends; what runs goes on running");
    outcome
}

/// The engine, and what it is told.
async fn work(cluster: &Cluster, engine: &Engine, options: &OperatorOptions, sees: &watch::Sender<bool>) {
    let scope = options.namespace.clone().map_or(Scope::Cluster, Scope::Namespace);
    let (news, told) = mpsc::channel(QUEUE);
    let (changes, heard) = mpsc::channel(QUEUE);
    let forwarding = forward(told, changes, sees.subscribe());
    let working = async {
        let (stores, _watches) = Stores::watch(cluster, &scope, news).await;
        sees.send_replace(true);
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(options.holder.clone()) };
        let recorder = Recorder::new(cluster.client(), reporter);
        let stand_ins = StandIns::new(stores.clone());
        let image = options.agent_image.clone();
        let platform = KubernetesPlatform::new(cluster.clone(), stores, recorder, image, stand_ins.clone());
        engine.run_with(Arc::new(platform), Ways { stand_ins }, heard).await;
    };
    tokio::join!(forwarding, working);
}

/// News of members is dropped until everything is known: nobody listens yet, and a full queue would stop the very watches
/// that are waited for.
async fn forward(mut news: mpsc::Receiver<News>, changes: mpsc::Sender<Change>, sees: watch::Receiver<bool>) {
    let mut feeds = BTreeMap::from(ResourceKind::ALL.map(|kind| (kind, Feed::new(kind))));
    while let Some(news) = news.recv().await {
        let told = match news {
            News::Resource(kind, event) => {
                feeds.get_mut(&kind).map(|feed| feed.changes(&event)).unwrap_or_default()
            }
            News::Members(_) if !*sees.borrow() => Vec::new(),
            News::Members(key) => vec![Change::Nudge(key)],
        };
        for change in told {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}
