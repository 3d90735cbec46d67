//! Who logs in, and how.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use redoubt_redis::{Connector, Credentials, Endpoint};
use redoubt_slots::{Access, Cluster, Guard, SlotsError, look, look_settled};
use redoubt_wire::secrets::AGENT_USER;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use secrecy::SecretString;

use super::fault;
use crate::{
    args::{LoginArgs, SeedArgs, WhereArgs, WhichArgs},
    failure::{Code, Failure},
    place::{Place, Set},
};

/// Where the password is looked for.
const PASSWORD: &str = "REDOUBT_CLUSTER_PASSWORD";
/// One call; the longest lists thousands of keys on a busy server.
const DEADLINE: Duration = Duration::from_secs(10);

/// A way into one cluster.
pub(super) struct Gate {
    pub(super) access: Access,
    /// One of its nodes.
    pub(super) entry: Endpoint,
    /// The ways to its nodes, if it was found by its name.
    _set: Option<Set>,
}

impl Gate {
    /// The cluster at this address. The password is asked for on a terminal if the server wants one.
    pub(super) async fn at(seed: &SeedArgs) -> Result<Self, Failure> {
        let (first, entry) = (access(&seed.login, None)?, seed.addr.clone());
        match look(&first, &entry).await {
            Ok(_) => Ok(Self { access: first, entry, _set: None }),
            Err(SlotsError::NoPassword { .. }) if io::stdin().is_terminal() && io::stderr().is_terminal() => {
                let access = access(&seed.login, Some(ask(&entry)?))?;
                Ok(Self { access, entry, _set: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The cluster of this name, or at this address.
    pub(super) async fn to(which: &WhichArgs) -> Result<Self, Failure> {
        match (&which.name, &which.addr) {
            (Some(name), _) => Self::of(name, &which.place).await,
            (None, Some(addr)) => {
                Self::at(&SeedArgs { addr: addr.clone(), login: which.login.clone() }).await
            }
            (None, None) => Err(fault("neither a name nor --addr says which cluster")),
        }
    }

    /// The cluster of this name, by the user its agents log in as: the application's may look and repair nothing.
    async fn of(name: &str, place: &WhereArgs) -> Result<Self, Failure> {
        let set = Place::open(place).await?.set(name).await?;
        if set.config.cluster().is_none() {
            return Err(fault(format_args!("{name} is not in mode Cluster")));
        }
        let password = set.secrets.agent.current().clone();
        let credentials = Some(Credentials { user: Some(AGENT_USER.to_owned()), password });
        let connector = Connector::new(credentials.clone(), DEADLINE).with_reach(set.reach());
        let entry = set.entrance().await?.server.clone();
        Ok(Self { access: Access::new(connector, credentials), entry, _set: Some(set) })
    }

    /// How it is now.
    pub(super) async fn look(&self) -> Result<Cluster, Failure> {
        Ok(look_settled(&self.access, &self.entry).await?)
    }

    /// The same, unless somebody moves slots there: then its nodes do not agree, and are not waited for.
    pub(super) async fn look_alone(&self) -> Result<Cluster, Failure> {
        Guard::seek(&self.access, &look(&self.access, &self.entry).await?).await?;
        self.look().await
    }
}

/// By the environment's password, unless one was given.
pub(super) fn access(login: &LoginArgs, given: Option<SecretString>) -> Result<Access, Failure> {
    let password = given.or_else(|| std::env::var(PASSWORD).ok().map(SecretString::from));
    let credentials = password.map(|password| Credentials { user: login.user.clone(), password });
    if login.user.is_some() && credentials.is_none() {
        return Err(fault(format_args!("--user needs a password in the environment variable {PASSWORD}")));
    }
    let mut connector = Connector::new(credentials.clone(), DEADLINE);
    if let Some(file) = login.cacert.as_ref().filter(|_| login.tls) {
        connector = connector.with_tls(Arc::new(tls(file, login)?), login.sni.clone());
    }
    Ok(Access::new(connector, credentials))
}

/// Trusts these authorities, and shows a certificate if one was given.
fn tls(authorities: &Path, login: &LoginArgs) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots.add(certificate).map_err(|error| unreadable(authorities, &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(fault)?.with_root_certificates(roots);
    let (Some(cert), Some(key)) = (&login.cert, &login.key) else { return Ok(builder.with_no_client_auth()) };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    builder.with_client_auth_cert(certificates(cert)?, secret).map_err(|error| unreadable(key, &error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| unreadable(file, &error))?;
    if found.is_empty() {
        return Err(unreadable(file, &"there is no certificate in it"));
    }
    Ok(found)
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Fault, format_args!("{}: {error}", file.display()))
        .hint("name a file with PEM blocks; `--help` says which of them holds what")
}

/// Asks without showing what is typed.
fn ask(at: &Endpoint) -> Result<SecretString, Failure> {
    let terminal = io::stdin();
    let shown = tcgetattr(&terminal).map_err(io::Error::from)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    write!(io::stderr(), "password of {at}: ")?;
    tcsetattr(&terminal, OptionalActions::Now, &hidden).map_err(io::Error::from)?;
    let mut line = String::new();
    let read = terminal.read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Now, &shown).map_err(io::Error::from)?;
    writeln!(io::stderr())?;
    read?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
}
