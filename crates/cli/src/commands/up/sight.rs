//! What a view is made from: the engine's own view of every Redis, and the agents of the one that is looked at.

use std::{sync::Arc, time::Duration};

use redoubt_engine::Views;
use redoubt_local::Local;
use redoubt_wire::{client::AgentClient, config::SetConfig};
use tokio::sync::{Mutex, watch};

use crate::{
    ask::ask,
    report::{Engine, Live, Report},
    view::Feed,
};

/// A view goes on without an agent that does not answer within this.
const ANSWER: Duration = Duration::from_millis(400);

/// Looks at an engine of this process.
pub(super) struct Sight {
    local: Local,
    views: watch::Receiver<Views>,
    /// Kept from one look to the next, with their connections.
    asked: Mutex<Option<Asked>>,
}

/// The agents of the set that is looked at.
struct Asked {
    config: SetConfig,
    agents: Vec<(String, Arc<AgentClient>)>,
}

impl Sight {
    pub(super) fn new(local: Local, views: watch::Receiver<Views>) -> Self {
        Self { local, views, asked: Mutex::new(None) }
    }

    /// How all Redis are, as the engine sees them, without asking anybody.
    pub(super) fn published(&self) -> Vec<Report> {
        let engine = Some(Engine { running: true, pid: Some(std::process::id()) });
        let report = |(key, view): (&redoubt_api::Key, &redoubt_engine::View)| Report {
            name: key.name.clone(),
            namespace: key.namespace.clone(),
            generation: None,
            engine,
            status: view.status.clone(),
            live: Live::default(),
            contradicted: None,
        };
        self.views.borrow().iter().map(report).collect()
    }

    /// A line that opens redis-cli at the master, without showing the password.
    pub(super) fn paste(&self, report: &Report) -> String {
        let address = report.master_address().and_then(|address| address.rsplit_once(':'));
        let Some((host, port)) = address else { return String::new() };
        let password = self.local.state_dir().set(&report.name).application_password();
        let follow = if report.status.shards.is_empty() { "" } else { " -c" };
        format!("REDISCLI_AUTH=$(head -n1 '{}') redis-cli{follow} -h {host} -p {port}", password.display())
    }

    async fn live(&self, name: &str) -> Live {
        let mut asked = self.asked.lock().await;
        let Ok(Some(config)) = self.local.config(name) else { return Live::default() };
        if asked.as_ref().is_none_or(|asked| asked.config != config) {
            let Ok(agents) = self.local.agents(name) else { return Live::default() };
            let agents = agents.into_iter().map(|(name, agent)| (name, Arc::new(agent))).collect();
            *asked = Some(Asked { config, agents });
        }
        match &*asked {
            Some(Asked { config, agents }) => Live::new(config, &ask(agents, ANSWER).await),
            None => Live::default(),
        }
    }
}

impl Feed for Sight {
    async fn reports(&self, shown: Option<&str>) -> (Vec<Report>, Vec<String>) {
        let mut reports = self.published();
        let shown = reports.iter().position(|report| Some(report.name.as_str()) == shown).unwrap_or(0);
        if let Some(report) = reports.get_mut(shown) {
            report.live = self.live(&report.name).await;
        }
        let paste = reports.iter().map(|report| self.paste(report)).collect();
        (reports, paste)
    }

    async fn changed(&self) {
        let mut views = self.views.clone();
        views.mark_unchanged();
        // An engine that is gone tells nothing more; its end is told by somebody else.
        if views.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
