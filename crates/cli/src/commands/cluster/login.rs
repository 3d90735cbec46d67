//! Who logs in, and how.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use redoubt_redis::{Connector, Credentials, Endpoint};
use redoubt_slots::{Access, Cluster, Guard, SlotsError, look, look_settled};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use secrecy::SecretString;

use super::fault;
use crate::{
    args::{LoginArgs, SeedArgs},
    failure::Failure,
};

/// Where the password is looked for.
const PASSWORD: &str = "REDOUBT_CLUSTER_PASSWORD";
/// One call; the longest lists thousands of keys on a busy server.
const DEADLINE: Duration = Duration::from_secs(10);

/// The cluster at the given address.
pub(super) async fn enter(seed: &SeedArgs) -> Result<(Access, Cluster), Failure> {
    let (access, _) = reach(seed).await?;
    let cluster = look_settled(&access, &seed.addr).await?;
    Ok((access, cluster))
}

/// The same, unless somebody moves slots there: then its nodes do not agree, and are not waited for.
pub(super) async fn enter_alone(seed: &SeedArgs) -> Result<(Access, Cluster), Failure> {
    let (access, cluster) = reach(seed).await?;
    Guard::seek(&access, &cluster).await?;
    let cluster = look_settled(&access, &seed.addr).await?;
    Ok((access, cluster))
}

/// The password is asked for on a terminal if the server wants one.
async fn reach(seed: &SeedArgs) -> Result<(Access, Cluster), Failure> {
    let first = access(&seed.login, None)?;
    match look(&first, &seed.addr).await {
        Ok(cluster) => Ok((first, cluster)),
        Err(SlotsError::NoPassword { .. }) if io::stdin().is_terminal() && io::stderr().is_terminal() => {
            let second = access(&seed.login, Some(ask(&seed.addr)?))?;
            let cluster = look(&second, &seed.addr).await?;
            Ok((second, cluster))
        }
        Err(error) => Err(error.into()),
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
        let unreadable = |error: &dyn std::fmt::Display| fault(format_args!("{}: {error}", file.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(fault)?;
        connector =
            connector.with_tls(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()), None);
    }
    Ok(Access::new(connector, credentials))
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
