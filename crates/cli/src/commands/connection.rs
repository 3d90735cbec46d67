//! `redoubt connection`.

use redoubt_local::Connection as Found;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    args::{ConnectionArgs, ConnectionForm},
    failure::Failure,
    place::{Place, nobody_leads},
    print::connection::{Connection, env, text, url},
    runtime, say,
};

/// Shows how an application connects.
pub(crate) fn run(args: &ConnectionArgs) -> Result<(), Failure> {
    let found = runtime::small(async { Place::open(&args.place).await?.connection(&args.name).await })?;
    let connection = resolved(found, args.show_password);
    match args.output {
        ConnectionForm::Text => say::data(&text(&connection))?,
        ConnectionForm::Env => say::data(&env(&connection))?,
        ConnectionForm::Url => {
            let url = url(&connection).ok_or_else(|| nobody_leads(&args.name))?;
            say::data(&format!("{url}\n"))?;
        }
        ConnectionForm::Json => say::data(&format!("{:#}\n", serde_json::json!(connection)))?,
    }
    if connection.auth && !args.show_password {
        say::hint("passwords are left out; --show-password shows them");
    }
    if args.output == ConnectionForm::Url && connection.master_name.is_some() {
        say::hint("the master moves at a failover: give applications the Sentinels (-o env, -o json)");
    }
    Ok(())
}

/// Passwords leave their wrappers here, and only when asked for.
fn resolved(found: Found, show_password: bool) -> Connection {
    let shown = |password: &Option<SecretString>| {
        password.as_ref().filter(|_| show_password).map(|password| password.expose_secret().to_owned())
    };
    Connection {
        auth: found.password.is_some(),
        sentinel_auth: found.sentinel_password.is_some(),
        password: shown(&found.password),
        sentinel_password: shown(&found.sentinel_password),
        name: found.name,
        master_name: found.master_name,
        sentinels: found.sentinels,
        cluster: found.cluster,
        master: found.master,
        replicas: found.replicas,
        username: found.username,
    }
}
