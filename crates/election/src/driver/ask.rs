//! Questions that an agent asks outside an election.

use std::{collections::BTreeMap, io, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use redoubt_redis::{Connector, Endpoint, Error, role::Role};

use tokio::{net::TcpStream, time::timeout};

use super::Context;
use crate::NamedMaster;

/// Asks every Sentinel whom it names, all at once; done when a majority of all names the same, or after this time. One
/// that is out of reach, and swallows what is sent to it, must not make the word of the others old.
pub async fn named_now(ctx: &Context, within: Duration) -> Option<Endpoint> {
    let config = ctx.set.sentinel()?;
    let connector = ctx.sentinels.with_deadline(within);
    let mut asking: FuturesUnordered<_> = config
        .sentinels
        .iter()
        .map(|entry| named_by(&connector, &entry.server, &config.master_name))
        .collect();
    let mut tally: BTreeMap<Endpoint, usize> = BTreeMap::new();
    while let Some(answer) = asking.next().await {
        let Ok(Some(named)) = answer else { continue };
        let count = tally.entry(named.clone()).or_default();
        *count += 1;
        if *count > config.sentinels.len() / 2 {
            return Some(named);
        }
    }
    None
}

async fn named_by(
    connector: &Connector,
    sentinel: &Endpoint,
    master_name: &str,
) -> Result<Option<Endpoint>, Error> {
    connector.connect(sentinel).await?.sentinel_get_master_addr(master_name).await
}

/// Looks at the master that the Sentinels name, for [`crate::Situation::named`].
pub async fn look_at_master(ctx: &Context, master: &Endpoint, within: Duration) -> NamedMaster {
    let connector = ctx.nodes.with_deadline(within);
    match role_of(&connector, master).await {
        Ok(Role::Master { .. }) => NamedMaster::Leads,
        Ok(Role::Replica { master: leader, .. }) => {
            let in_set = ctx.set.node_at(&leader).is_some();
            let leads = in_set
                && match role_of(&connector, &leader).await {
                    Ok(role) => role.is_master(),
                    Err(_) => !refuses(&leader, within).await,
                };
            NamedMaster::Follows { somebody_who_leads: leads }
        }
        Ok(Role::Sentinel { .. }) => NamedMaster::Unknown,
        Err(error) if error.is_answer() => NamedMaster::Unknown,
        Err(Error::Connect { .. }) if refuses(master, within).await => NamedMaster::Gone,
        Err(_) => NamedMaster::Silent,
    }
}

/// The host is there, and nothing listens.
async fn refuses(endpoint: &Endpoint, within: Duration) -> bool {
    let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let outcome = timeout(within, connecting).await;
    matches!(outcome, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

async fn role_of(connector: &Connector, node: &Endpoint) -> Result<Role, Error> {
    connector.connect(node).await?.role().await
}
