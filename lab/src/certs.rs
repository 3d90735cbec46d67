//! The lab's own certificate authority, what it signs, and the kubeconfigs that point there.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

use crate::layout::{Lab, Node};

/// Who signs; its key is kept for the controller manager, which signs what is asked of it in the cluster.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Makes a new one, and the pair that signs service accounts' tokens.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "redoubt-lab");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params.self_signed(&key).context("cannot sign the authority")?;
        write(&folder.join("ca.crt"), &certificate.pem())?;
        write(&folder.join("ca.key"), &key.serialize_pem())?;
        let tokens = KeyPair::generate().context("cannot make a key")?;
        write(&folder.join("tokens.key"), &tokens.serialize_pem())?;
        write(&folder.join("tokens.pub"), &tokens.public_key_pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// A certificate for a client, a server (where it has addresses), or both.
    fn sign(&self, file: &str, user: &str, group: Option<&str>, addresses: Vec<SanType>) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = addresses;
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.with_context(|| format!("cannot sign the certificate of {user}"))?;
        let identity = Identity {
            certificate: self.folder.join(format!("{file}.crt")),
            key: self.folder.join(format!("{file}.key")),
        };
        write(&identity.certificate, &certificate.pem())?;
        write(&identity.key, &key.serialize_pem())?;
        Ok(identity)
    }

    pub(crate) fn api_server(&self, lab: Lab) -> Result<Identity> {
        let mut names = Vec::new();
        for name in [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ] {
            names.push(SanType::DnsName(name.try_into().context("a name is no DNS name")?));
        }
        names.extend([lab.control_plane(), lab.api_service(), Ipv4Addr::LOCALHOST].map(ip));
        self.sign("kube-apiserver", "kube-apiserver", None, names)
    }

    /// What the API server shows a kubelet: logs and exec are refused to anybody else.
    pub(crate) fn kubelet_client(&self) -> Result<Identity> {
        self.sign("kubelet-client", "kube-apiserver", Some("system:masters"), Vec::new())
    }

    /// The kubelet's, as server and as client of the API server.
    pub(crate) fn kubelet(&self, node: Node) -> Result<Identity> {
        let user = format!("system:node:{node}");
        self.sign(&node.to_string(), &user, Some("system:nodes"), vec![ip(node.address())])
    }

    /// A kubeconfig for a user of the API server.
    pub(crate) fn user(&self, lab: Lab, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let file = user.rsplit(':').next().unwrap_or(user);
        let identity = self.sign(file, user, group, Vec::new())?;
        let path = self.folder.join(format!("{file}.kubeconfig"));
        self.kubeconfig(lab, user, &identity, &path)?;
        Ok(path)
    }

    /// Writes a kubeconfig: YAML can be written as JSON.
    pub(crate) fn kubeconfig(&self, lab: Lab, user: &str, identity: &Identity, path: &Path) -> Result<()> {
        let name = lab.link();
        let config: Value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": name, "cluster": {
                "server": format!("https://{}:6443", lab.control_plane()),
                "certificate-authority": self.folder.join("ca.crt"),
            }}],
            "users": [{ "name": user, "user": {
                "client-certificate": identity.certificate,
                "client-key": identity.key,
            }}],
            "contexts": [{ "name": name, "context": { "cluster": name, "user": user } }],
            "current-context": name,
        });
        write(path, &format!("{config:#}\n"))
    }

    /// The kubeconfig of whoever may do everything.
    pub(crate) fn admin(&self, lab: Lab) -> Result<()> {
        let identity = self.sign("admin", "admin", Some("system:masters"), Vec::new())?;
        self.kubeconfig(lab, "admin", &identity, &lab.kubeconfig())
    }
}

fn ip(address: Ipv4Addr) -> SanType {
    SanType::IpAddress(IpAddr::V4(address))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, mode).with_context(|| format!("cannot protect {}", path.display()))
}
