//! Changed rights and passwords, carried into a running data node.

use redoubt_redis::{Connection, Error};
use redoubt_wire::{config::SetConfig, secrets::Secrets};

use super::apply::{ApplyError, Left};
use crate::{
    acl::{self, User},
    node::Login,
};

/// Makes the users what they should be, then logs in at the master with today's password. Connections that are open
/// stay open; a server accepts a new password before it uses one.
///
/// Guarantee: when the server refuses one user, those changed before it are as before. Made again it changes nothing.
pub async fn apply_access(
    connection: &mut Connection,
    before: (&SetConfig, &Secrets),
    after: (&SetConfig, &Secrets),
    login: Login,
) -> Result<(), ApplyError> {
    let old = acl::node_users(before.0, before.1);
    let changed = acl::changed(&old, &acl::node_users(after.0, after.1));
    for (number, user) in changed.iter().enumerate() {
        match connection.call(user.set_user().arguments()).await {
            Ok(_) => {}
            Err(Error::Server { message, .. }) => {
                let left = put_back(connection, &old, &changed[..number]).await;
                return Err(ApplyError::Refused {
                    directive: format!("user {}", user.name()),
                    message,
                    left,
                });
            }
            Err(lost) => return Err(lost.into()),
        }
    }
    let wanted = login.directives(after.0, after.1);
    if login.directives(before.0, before.1) != wanted {
        connection.config_set(&wanted.each_ref().map(|(name, value)| (*name, value.as_str()))).await?;
    }
    Ok(())
}

/// Makes the users what they should be, whatever they are: another version of the agent may have given them other rights.
pub async fn set_access(
    connection: &mut Connection,
    set: &SetConfig,
    secrets: &Secrets,
) -> Result<(), ApplyError> {
    for user in acl::node_users(set, secrets) {
        match connection.call(user.set_user().arguments()).await {
            Ok(_) => {}
            Err(Error::Server { message, .. }) => {
                let directive = format!("user {}", user.name());
                return Err(ApplyError::Refused { directive, message, left: Left::default() });
            }
            Err(lost) => return Err(lost.into()),
        }
    }
    Ok(())
}

async fn put_back(connection: &mut Connection, old: &[User], changed: &[User]) -> Left {
    let mut left = Left::default();
    for user in old.iter().filter(|user| changed.iter().any(|changed| changed.name() == user.name())) {
        if connection.call(user.set_user().arguments()).await.is_err() {
            left.0.push(format!("user {}", user.name()));
        }
    }
    left
}
