//! A lab from nothing to nodes that are ready.

use std::{fs, io, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    args::ImageCommand,
    certs::Authority,
    control_plane, doctor, images,
    kubectl::Kubectl,
    layout::{Lab, Node},
    network, node,
    parts::{self, Parts},
    print,
    run::wait_for,
    sandbox::Sandbox,
    say,
};

const READY_LIMIT: Duration = Duration::from_mins(3);

/// What cannot be derived from a lab's number.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    nodes: u8,
}

/// A lab that runs.
pub(crate) struct Running {
    pub(crate) room: Sandbox,
    pub(crate) nodes: Vec<Node>,
}

impl Running {
    pub(crate) fn find(lab: Lab) -> Result<Self> {
        let path = lab.state().join("lab.json");
        let (Ok(text), Some(room)) = (fs::read_to_string(&path), Sandbox::load(&lab.state())) else {
            bail!("no lab runs: lab up starts one");
        };
        let record: Record =
            serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { room, nodes: lab.nodes(record.nodes) })
    }
}

/// Starts the lab.
pub(crate) async fn up(lab: Lab, count: u8) -> Result<()> {
    doctor::require()?;
    if Running::find(lab).is_ok() {
        bail!("a lab runs already: lab down ends it");
    }
    let parts = Parts::new()?;
    crate::build(&parts).await?;
    make_state(lab, count)?;
    let begun = tokio::time::Instant::now();
    start(lab, count, &parts).await.with_context(|| {
        format!("the lab did not start; its logs are in {}, lab down removes it", lab.state().display())
    })?;
    say(&format!(
        "{count} nodes ready after {:.1} s; kubeconfig: {}",
        begun.elapsed().as_secs_f64(),
        lab.kubeconfig().display()
    ));
    let bin = for_people(&parts)?;
    print(&format!(
        "export KUBECONFIG={} LAB_INSTANCE={} PATH={}:$PATH",
        lab.kubeconfig().display(),
        lab.instance,
        bin.display()
    ));
    Ok(())
}

/// The folder is what two labs of one number cannot both make.
fn make_state(lab: Lab, nodes: u8) -> Result<()> {
    let state = lab.state();
    if let Some(parent) = state.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    match fs::create_dir(&state) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "{} is left of a lab that crashed, or that is being started: lab down removes it",
                state.display()
            )
        }
        made => made.with_context(|| format!("cannot make {}", state.display()))?,
    }
    for folder in [lab.certs(), lab.volumes()] {
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let record = serde_json::to_string(&Record { nodes }).context("cannot write the record as text")?;
    fs::write(state.join("lab.json"), record).with_context(|| format!("cannot write to {}", state.display()))
}

async fn start(lab: Lab, count: u8, parts: &Parts) -> Result<()> {
    let authority = Authority::create(&lab.certs())?;
    control_plane::identities(lab, &authority)?;
    let nodes = lab.nodes(count);
    nodes.iter().try_for_each(|node| node::prepare(*node, &authority))?;
    let room = Sandbox::start(None, &parts.program("pause"), &lab.link(), &lab.state()).await?;
    network::connect_room(lab, &room).await?;
    // What the storage mounts here later, every node sees.
    let volumes = lab.volumes();
    let share = format!("mount --bind {0} {0}\nmount --make-shared {0}\n", volumes.display());
    room.shell(&share).await.context("cannot share the folder of volumes")?;
    let kubectl = Kubectl::new(lab, parts);
    let starts = try_join_all(nodes.iter().map(|node| node::start(*node, &room, parts, &nodes)));
    tokio::try_join!(control_plane::start(lab, &room, parts, &kubectl), starts)?;
    wait_for("all nodes to be ready", READY_LIMIT, async || ready(&kubectl, nodes.len()).await).await
}

async fn ready(kubectl: &Kubectl, count: usize) -> Result<()> {
    let list = kubectl.get(&["nodes"]).await?;
    let ready = list["items"].as_array().into_iter().flatten().filter(|node| is_ready(node)).count();
    if ready < count {
        bail!("{ready} of {count} nodes are ready");
    }
    Ok(())
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// `lab/bin`, with the programs that people call.
fn for_people(parts: &Parts) -> Result<PathBuf> {
    let bin = parts::source("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    for name in parts::FOR_PEOPLE {
        parts::link(&bin.join(name), &parts.program(name))?;
    }
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    parts::link(&bin.join("lab"), &own)?;
    Ok(bin)
}

/// Builds images, and gives them to every node that runs.
pub(crate) async fn image(lab: Lab, wanted: ImageCommand) -> Result<()> {
    let built = match wanted {
        ImageCommand::Redoubt => vec![images::build_redoubt().await?],
        ImageCommand::Servers => images::build_servers().await?,
    };
    let names: Vec<&str> = built.iter().map(|built| built.name.as_str()).collect();
    let names = names.join(", ");
    let Ok(running) = Running::find(lab) else {
        say(&format!("built {names}; the next lab has it"));
        return Ok(());
    };
    let archives: Vec<PathBuf> = built.iter().map(|built| built.archive.clone()).collect();
    let sandboxes: Vec<Sandbox> = running.nodes.into_iter().filter_map(node::running).collect();
    try_join_all(sandboxes.iter().map(|sandbox| images::load(sandbox, &archives))).await?;
    say(&format!("loaded {names} into {} nodes", sandboxes.len()));
    Ok(())
}
