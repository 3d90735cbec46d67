//! What can go wrong, each with its way back.

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::{
    args::Fault,
    control_plane,
    kubectl::Kubectl,
    layout::{Lab, Node},
    network, node,
    parts::Parts,
    up::Running,
    volumes,
};

pub(crate) async fn act(lab: Lab, fault: Fault) -> Result<()> {
    let running = Running::find(lab)?;
    let parts = Parts::new()?;
    match fault {
        Fault::Cut(name) => plug(&running, &[running.node(&name.node)?], false).await,
        Fault::Uncut(name) => plug(&running, &[running.node(&name.node)?], true).await,
        Fault::CutZone(name) => plug(&running, &running.zone(&name.zone)?, false).await,
        Fault::UncutZone(name) => plug(&running, &running.zone(&name.zone)?, true).await,
        Fault::StopKubelet(name) => node::up(running.node(&name.node)?)?.stop("kubelet", Signal::KILL).await,
        Fault::StartKubelet(name) => {
            let node = running.node(&name.node)?;
            node::start_kubelet(node, &node::up(node)?, &parts).await
        }
        Fault::KillNode(name) => node::up(running.node(&name.node)?)?.kill().await,
        Fault::StartNode(name) => start_node(&running, running.node(&name.node)?, &parts).await,
        Fault::Slow { node, ms } => slow(&running, running.node(&node)?, ms, &parts).await,
        Fault::Unslow(name) => unslow(&running, running.node(&name.node)?).await,
        Fault::Fill(name) => {
            volumes::fill(lab, &running.room, &Kubectl::new(lab, &parts), &name.volume).await
        }
        Fault::Unfill(name) => {
            volumes::unfill(lab, &running.room, &Kubectl::new(lab, &parts), &name.volume).await
        }
        Fault::StopApi => control_plane::stop_api(&running.room).await,
        Fault::StartApi => {
            control_plane::start_api(lab, &running.room, &parts, &Kubectl::new(lab, &parts)).await
        }
    }
}

impl Running {
    fn node(&self, name: &str) -> Result<Node> {
        let found = self.nodes.iter().find(|node| node.to_string() == name);
        found.copied().with_context(|| {
            let names: Vec<String> = self.nodes.iter().map(Node::to_string).collect();
            format!("no node is called {name}: there are {}", names.join(", "))
        })
    }

    fn zone(&self, name: &str) -> Result<Vec<Node>> {
        let nodes: Vec<Node> = self.nodes.iter().copied().filter(|node| node.zone() == name).collect();
        if nodes.is_empty() {
            bail!(
                "no node is in a zone called {name}: zones are zone-a, zone-b, zone-c, filled in this order"
            );
        }
        Ok(nodes)
    }
}

async fn plug(running: &Running, nodes: &[Node], connected: bool) -> Result<()> {
    for node in nodes {
        node::up(*node)?;
        network::plug(&running.room, *node, connected).await?;
    }
    Ok(())
}

async fn start_node(running: &Running, node: Node, parts: &Parts) -> Result<()> {
    if node::running(node).is_some() {
        bail!("{node} runs already");
    }
    // Its cable is a new one, and as fast as any.
    unslow(running, node).await?;
    node::start(node, &running.room, parts, &running.nodes).await
}

async fn slow(running: &Running, node: Node, ms: u32, parts: &Parts) -> Result<()> {
    node::up(node)?;
    unslow(running, node).await?;
    let links = network::lengthen(&running.room, node).await?;
    let mut delay = running.room.command(parts.program("delay"));
    delay.arg(format!("--wait={ms}ms")).args(links);
    running.room.daemon(&delay_of(node), &mut delay).await
}

async fn unslow(running: &Running, node: Node) -> Result<()> {
    let name = delay_of(node);
    if running.room.running(&name).is_some() {
        running.room.stop(&name, Signal::KILL).await?;
    }
    network::shorten(&running.room, node).await
}

fn delay_of(node: Node) -> String {
    format!("delay-{node}")
}
