//! Links, addresses and routes. The bridge is in the room and every link ends in a namespace of the lab, so that the
//! kernel removes them, and the routes through them, together with the last process there.

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    layout::{Lab, Node},
    run,
    sandbox::Sandbox,
};

/// The bridge in the room, and the link from this machine to it.
pub(crate) async fn connect_room(lab: Lab, room: &Sandbox) -> Result<()> {
    let (link, inside) = (lab.link(), room.init.pid);
    let control_plane = lab.control_plane();
    ip(
        &mut Command::new("ip"),
        &format!(
            "link add {link} type veth peer name uplink netns {inside}\n\
             address add {}/24 dev {link}\n\
             link set {link} up\n",
            lab.host()
        ),
    )
    .await?;
    ip(
        &mut room.command("ip"),
        &format!(
            "link set lo up\n\
             link add bridge type bridge\n\
             address add {control_plane}/24 dev bridge\n\
             link set uplink master bridge up\n\
             link set bridge up\n"
        ),
    )
    .await
    .context("cannot make the lab's bridge")
}

/// A node's link to the bridge, and the routes to its pods from everywhere else.
pub(crate) async fn connect_node(node: Node, room: &Sandbox, inside: &Sandbox, nodes: &[Node]) -> Result<()> {
    // The pid is the machine's, so the link is made from the machine's namespace of pids: only the network is the room's.
    let mut in_room = Command::new("nsenter");
    in_room.args(["--net", "--target", &room.init.pid.to_string(), "--", "ip"]);
    ip(
        &mut in_room,
        &format!(
            "link add {node} type veth peer name eth0 netns {}\n\
             link set {node} master bridge up\n\
             route replace {} via {}\n",
            inside.init.pid,
            node.pods(),
            node.address()
        ),
    )
    .await?;
    let mut lines = format!("link set lo up\naddress add {}/24 dev eth0\nlink set eth0 up\n", node.address());
    for other in nodes.iter().filter(|other| **other != node) {
        lines.extend(["route add ", &other.pods(), " via ", &other.address().to_string(), "\n"]);
    }
    ip(&mut inside.command("ip"), &lines).await?;
    inside.shell("echo 1 >/proc/sys/net/ipv4/ip_forward").await?;
    let mut routes =
        format!("route replace {} via {} dev {}\n", node.pods(), node.address(), node.lab.link());
    if nodes.first() == Some(&node) {
        // Its kube-proxy serves strangers too, and has the answers come back this way.
        let services = node.lab.services();
        routes.extend([
            "route replace ",
            &services,
            " via ",
            &node.address().to_string(),
            " dev ",
            &node.lab.link(),
            "\n",
        ]);
    }
    ip(&mut Command::new("ip"), &routes).await
}

/// Plugs a node's link in, or pulls it out.
pub(crate) async fn plug(room: &Sandbox, node: Node, connected: bool) -> Result<()> {
    let state = if connected { "up" } else { "down" };
    ip(&mut room.command("ip"), &format!("link set {node} {state}\n")).await
}

/// Puts a slow piece of cable between a node and the bridge. Frames go through [`Sandbox::daemon`] `delay-NODE`, which
/// the caller starts on the two links that this returns.
pub(crate) async fn lengthen(room: &Sandbox, node: Node) -> Result<[String; 2]> {
    let [near, far] = detour(node);
    ip(
        &mut room.command("ip"),
        &format!(
            "link add {far} type veth peer name {near}\n\
             link set {node} nomaster\n\
             link set {near} up\n\
             link set {far} master bridge up\n"
        ),
    )
    .await?;
    // The room would answer for its own addresses on these links, past the slow cable.
    let silence = |link: &str| format!("echo 8 >/proc/sys/net/ipv4/conf/{link}/arp_ignore\n");
    room.shell(&(silence(&node.to_string()) + &silence(&near))).await?;
    Ok([node.to_string(), near])
}

/// Removes the slow piece of cable, if there is one.
pub(crate) async fn shorten(room: &Sandbox, node: Node) -> Result<()> {
    let [_, far] = detour(node);
    let script = format!(
        "[ ! -e /proc/sys/net/ipv4/conf/{far} ] || ip link delete {far}\n\
         [ ! -e /proc/sys/net/ipv4/conf/{node} ] || ip link set {node} master bridge\n"
    );
    room.shell(&script).await.map(drop)
}

/// Both ends of the slow piece: at its own, and at the bridge.
fn detour(node: Node) -> [String; 2] {
    [format!("{node}-near"), format!("{node}-far")]
}

async fn ip(command: &mut Command, lines: &str) -> Result<()> {
    run::output_with(command.args(["-batch", "-"]), lines).await.map(drop)
}
