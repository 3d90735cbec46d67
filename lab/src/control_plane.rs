//! etcd, API server, controller manager, scheduler, and what serves the cluster beside them: DNS and storage.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::{certs::Authority, kubectl::Kubectl, layout::Lab, parts::Parts, run::wait_for, sandbox::Sandbox};

/// Only the room itself has this address, so etcd needs no certificates.
const ETCD: &str = "http://127.0.0.1:2379";
/// A machine at load 15 takes longer than the 5 s of an idle one.
const API_LIMIT: Duration = Duration::from_mins(2);
/// As whom the API server passes requests on to servers that extend it.
const FRONT_PROXY: &str = "front-proxy-client";
const MANIFESTS: &str = include_str!("../manifests/cluster.yaml");

/// Certificates and kubeconfigs of everybody but the nodes.
pub(crate) fn identities(lab: Lab, authority: &Authority) -> Result<()> {
    authority.admin(lab)?;
    authority.api_server(lab)?;
    authority.kubelet_client()?;
    for user in [
        "system:kube-controller-manager",
        "system:kube-scheduler",
        "system:kube-proxy",
        "dns",
        "storage",
        FRONT_PROXY,
    ] {
        authority.user(lab, user, None)?;
    }
    Ok(())
}

/// Starts etcd and the API server, and waits until it answers.
pub(crate) async fn start(lab: Lab, room: &Sandbox, parts: &Parts, kubectl: &Kubectl) -> Result<()> {
    let mut etcd = room.command("etcd");
    etcd.arg("--data-dir").arg(lab.state().join("etcd"));
    etcd.args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD]);
    etcd.args(["--unsafe-no-fsync", "--logger=zap", "--log-level=warn"]);
    room.daemon("etcd", &mut etcd).await?;
    start_api(lab, room, parts, kubectl).await?;
    start_controllers(lab, room, parts).await?;
    let manifests = MANIFESTS
        .replace("DNS_SERVICE", &lab.dns_service().to_string())
        .replace("CONTROL_PLANE", &lab.control_plane().to_string());
    kubectl.apply(&manifests).await.context("cannot make the cluster's own objects")?;
    start_services(lab, room, parts).await
}

/// Starts the API server, and waits until it answers.
pub(crate) async fn start_api(lab: Lab, room: &Sandbox, parts: &Parts, kubectl: &Kubectl) -> Result<()> {
    let mut command = room.command(parts.program("kube-apiserver"));
    command.args(api_flags(lab));
    room.daemon("kube-apiserver", &mut command).await?;
    wait_for("the API server", API_LIMIT, async || {
        room.check("etcd")?;
        room.check("kube-apiserver")?;
        kubectl.run(&["get", "--raw", "/readyz"]).await
    })
    .await
    .map(drop)
}

/// Ends the API server, as its machine would: at once.
pub(crate) async fn stop_api(room: &Sandbox) -> Result<()> {
    room.stop("kube-apiserver", Signal::KILL).await
}

fn api_flags(lab: Lab) -> Vec<String> {
    let certs = lab.certs();
    let file = |name: &str| certs.join(name).display().to_string();
    let flags = [
        ("etcd-servers", ETCD.to_owned()),
        ("advertise-address", lab.control_plane().to_string()),
        ("service-cluster-ip-range", lab.services()),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction,PodSecurity".to_owned()),
        ("client-ca-file", file("ca.crt")),
        ("tls-cert-file", file("kube-apiserver.crt")),
        ("tls-private-key-file", file("kube-apiserver.key")),
        ("kubelet-certificate-authority", file("ca.crt")),
        ("kubelet-client-certificate", file("kubelet-client.crt")),
        ("kubelet-client-key", file("kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        ("requestheader-client-ca-file", file("ca.crt")),
        ("requestheader-allowed-names", FRONT_PROXY.to_owned()),
        ("requestheader-username-headers", "X-Remote-User".to_owned()),
        ("requestheader-group-headers", "X-Remote-Group".to_owned()),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".to_owned()),
        ("proxy-client-cert-file", file(&format!("{FRONT_PROXY}.crt"))),
        ("proxy-client-key-file", file(&format!("{FRONT_PROXY}.key"))),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
        ("service-account-key-file", file("tokens.pub")),
        ("service-account-signing-key-file", file("tokens.key")),
        ("endpoint-reconciler-type", "lease".to_owned()),
        // Webhooks are called at their pods: there is no kube-proxy beside the API server that knew their service.
        ("enable-aggregator-routing", "true".to_owned()),
        ("allow-privileged", "true".to_owned()),
        ("profiling", "false".to_owned()),
    ];
    flags.into_iter().map(|(name, value)| format!("--{name}={value}")).collect()
}

async fn start_controllers(lab: Lab, room: &Sandbox, parts: &Parts) -> Result<()> {
    let certs = lab.certs();
    let file = |name: &str| certs.join(name).display().to_string();
    for name in ["kube-controller-manager", "kube-scheduler"] {
        let mut command = room.command(parts.program(name));
        for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            command.arg(format!("--{flag}={}", file(&format!("{name}.kubeconfig"))));
        }
        command.args([
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
        ]);
        if name == "kube-controller-manager" {
            command.args([
                format!("--root-ca-file={}", file("ca.crt")),
                format!("--service-account-private-key-file={}", file("tokens.key")),
                format!("--cluster-signing-cert-file={}", file("ca.crt")),
                format!("--cluster-signing-key-file={}", file("ca.key")),
                "--use-service-account-credentials".to_owned(),
                // A node that is cut off is NotReady after some 20 s instead of 50: tests wait for that.
                "--node-monitor-grace-period=16s".to_owned(),
                "--node-monitor-period=2s".to_owned(),
            ]);
        }
        room.daemon(name, &mut command).await?;
    }
    Ok(())
}

async fn start_services(lab: Lab, room: &Sandbox, parts: &Parts) -> Result<()> {
    let corefile = lab.state().join("Corefile");
    write(&corefile, &corefile_text(lab))?;
    let mut dns = room.command(parts.program("coredns"));
    room.daemon("coredns", dns.arg("-conf").arg(&corefile)).await?;
    let mut storage = room.command(parts.program("storage"));
    storage.arg("--kubeconfig").arg(lab.certs().join("storage.kubeconfig"));
    storage.arg("--folder").arg(lab.volumes());
    room.daemon("storage", &mut storage).await
}

fn corefile_text(lab: Lab) -> String {
    format!(
        ".:53 {{
    bind {address}
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods verified
        ttl 5
    }}
    cache 5
}}
",
        address = lab.control_plane(),
        kubeconfig = lab.certs().join("dns.kubeconfig").display()
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
