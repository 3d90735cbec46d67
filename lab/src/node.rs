//! A node: its namespaces, and in them containerd, kubelet and kube-proxy, all of them configured as on a machine of
//! their own.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    certs::Authority,
    cgroups, images,
    layout::Node,
    network,
    parts::Parts,
    run::{self, wait_for},
    sandbox::Sandbox,
};

const SOCKET: &str = "/run/containerd/containerd.sock";
const CONTAINERD_LIMIT: Duration = Duration::from_mins(1);

/// Certificates and configuration, made once.
pub(crate) fn prepare(node: Node, authority: &Authority) -> Result<()> {
    let folder = node.state();
    for part in ["cni", "lib", "log"] {
        let part = folder.join(part);
        fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    }
    let identity = authority.kubelet(node)?;
    authority.kubeconfig(
        node.lab,
        &format!("system:node:{node}"),
        &identity,
        &folder.join("kubelet.kubeconfig"),
    )?;
    let files = [
        ("containerd.toml", containerd(node)),
        ("cni/10-lab.conflist", format!("{:#}\n", cni(node))),
        ("kubelet.json", format!("{:#}\n", kubelet(node))),
        ("kube-proxy.json", format!("{:#}\n", kube_proxy(node))),
        ("resolv.conf", String::new()),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Starts the node, as at the start of its machine: what was mounted or running before is gone, its disk is not.
pub(crate) async fn start(node: Node, room: &Sandbox, parts: &Parts, nodes: &[Node]) -> Result<()> {
    let sandbox =
        Sandbox::start(Some(room), &parts.program("pause"), &node.to_string(), &node.state()).await?;
    mount(node, &sandbox).await.with_context(|| format!("cannot mount the folders of {node}"))?;
    network::connect_node(node, room, &sandbox, nodes)
        .await
        .with_context(|| format!("cannot connect {node}"))?;
    cgroups::create(&node.cgroup())?;
    start_containerd(node, &sandbox).await?;
    let mut proxy = sandbox.command(parts.program("kube-proxy"));
    proxy.arg("--config").arg(node.state().join("kube-proxy.json"));
    sandbox.daemon("kube-proxy", &mut proxy).await?;
    start_kubelet(node, &sandbox, parts).await?;
    images::load(&sandbox, &parts.images()?).await.with_context(|| format!("cannot load images into {node}"))
}

/// Folders of its own in place of the machine's: `/run` as after a start, `/var/lib` and `/var/log` from its disk. The
/// lab's own folder stays where it is.
async fn mount(node: Node, sandbox: &Sandbox) -> Result<()> {
    let script = format!(
        "hostname {node}
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p {lib}/redoubt-lab
mount --rbind /var/lib/redoubt-lab {lib}/redoubt-lab
mount --rbind {lib} /var/lib
mount --bind {log} /var/log
",
        lib = node.state().join("lib").display(),
        log = node.state().join("log").display()
    );
    sandbox.shell(&script).await.map(drop)
}

async fn start_containerd(node: Node, sandbox: &Sandbox) -> Result<()> {
    let mut containerd = sandbox.command("containerd");
    containerd.arg("--config").arg(node.state().join("containerd.toml"));
    sandbox.daemon("containerd", &mut containerd).await?;
    wait_for("containerd", CONTAINERD_LIMIT, async || {
        sandbox.check("containerd")?;
        run::output(sandbox.command("ctr").args(["--address", SOCKET, "--namespace", "k8s.io", "version"]))
            .await
    })
    .await
    .map(drop)
}

/// Starts the kubelet.
pub(crate) async fn start_kubelet(node: Node, sandbox: &Sandbox, parts: &Parts) -> Result<()> {
    let mut kubelet = sandbox.command(parts.program("kubelet"));
    let folder = node.state();
    kubelet.arg("--config").arg(folder.join("kubelet.json"));
    kubelet.arg("--kubeconfig").arg(folder.join("kubelet.kubeconfig"));
    kubelet.arg(format!("--hostname-override={node}"));
    kubelet.arg(format!("--node-ip={}", node.address()));
    kubelet.arg(format!(
        "--node-labels=topology.kubernetes.io/region=lab,topology.kubernetes.io/zone={}",
        node.zone()
    ));
    sandbox.daemon("kubelet", &mut kubelet).await
}

fn containerd(node: Node) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "/var/lib/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
disable_apparmor = true
# Without CAP_SYS_RESOURCE nobody may lower a score, and runc dies of trying.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#,
        pause = images::PAUSE,
        cni = node.state().join("cni").display(),
    )
}

fn cni(node: Node) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "lab",
        "plugins": [
            { "type": "ptp", "ipam": {
                "type": "host-local",
                "ranges": [[{ "subnet": node.pods() }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            }},
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    })
}

fn kubelet(node: Node) -> Value {
    let certs = node.lab.certs();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": { "x509": { "clientCAFile": certs.join("ca.crt") } },
        "tlsCertFile": certs.join(format!("{node}.crt")),
        "tlsPrivateKeyFile": certs.join(format!("{node}.key")),
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "clusterDNS": [node.lab.dns_service()],
        "clusterDomain": "cluster.local",
        "resolvConf": node.state().join("resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.cgroup(),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "serializeImagePulls": false,
        // One failed pull makes the kubelet distrust an image that was loaded by hand.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        // The disk is the machine's, and how full that is says nothing about the node.
        "evictionHard": { "imagefs.available": "0%", "nodefs.available": "0%", "memory.available": "100Mi" },
        "imageGCHighThresholdPercent": 100,
        // Four renewals before the controller manager misses the node.
        "nodeLeaseDurationSeconds": 16,
        "nodeStatusUpdateFrequency": "4s",
    })
}

fn kube_proxy(node: Node) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node.to_string(),
        "clusterCIDR": node.lab.pods(),
        "clientConnection": { "kubeconfig": node.lab.certs().join("kube-proxy.kubeconfig") },
        // These sysctls belong to the machine: left as they are.
        "conntrack": { "maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
    })
}

/// The node's namespaces, if it runs.
pub(crate) fn running(node: Node) -> Option<Sandbox> {
    Sandbox::load(&node.state())
}

/// For commands that need a node that runs.
pub(crate) fn up(node: Node) -> Result<Sandbox> {
    running(node).with_context(|| format!("{node} is down: lab start-node {node} starts it"))
}
