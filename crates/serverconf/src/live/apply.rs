//! Settings on their way into a running server: all of them or none.

use std::collections::BTreeMap;

use redoubt_redis::{Connection, Error};

use super::{Change, same::same};

/// A running server was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It refused one setting; the others were put back.
    #[error("{directive}: the running server refuses it: {message}{}", .left.note())]
    Refused {
        /// The directive at fault.
        directive: String,
        /// The server's words.
        message: String,
        /// What could not be put back.
        left: Left,
    },
    /// The connection was lost on the way. What was set by then is set; a new plan finds what is missing.
    #[error("the server's configuration is half changed, and changes further at the next attempt: {0}")]
    Lost(#[from] Error),
}

/// Directives that kept their new value although all should have been put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left(pub Vec<String>);

impl Left {
    fn note(&self) -> String {
        if self.0.is_empty() {
            String::new()
        } else {
            format!("; could not be put back: {}", self.0.join(", "))
        }
    }
}

/// One setting that was accepted.
struct Done<'a> {
    name: &'a str,
    value: &'a str,
    before: &'a str,
}

/// Carries out a plan, verified by reading back. Gives the directives that take effect only at a restart.
///
/// Guarantee: when the server refuses one, those set before it have their old value again, and the error names it.
pub async fn apply_live(connection: &mut Connection, changes: &[Change]) -> Result<Vec<String>, ApplyError> {
    let (mut restart, mut done) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::RestartNeeded(name) => restart.push(name.clone()),
            Change::Set { name, value, before } => match connection.config_set(&[(name, value)]).await {
                Ok(()) => done.push(Done { name, value, before }),
                Err(Error::Server { message, .. }) if is_fixed(&message) => restart.push(name.clone()),
                Err(Error::Server { message, .. }) => {
                    return Err(refused(connection, name, message, &done).await);
                }
                Err(lost) => return Err(lost.into()),
            },
        }
    }
    if done.is_empty() {
        return Ok(restart);
    }
    let shown = connection.config_get("*").await?;
    match done.iter().find(|done| is_ignored(done, &shown)) {
        None => Ok(restart),
        Some(ignored) => {
            let message = format!("it accepts {:?} and keeps {:?}", ignored.value, ignored.before);
            Err(refused(connection, ignored.name, message, &done).await)
        }
    }
}

/// From 7.0 on `can't set immutable config` and `can't set protected config`; 6.2 speaks so of those as well that it
/// does not know, but then it does not show them either.
fn is_fixed(message: &str) -> bool {
    ["immutable config", "protected config", "Unsupported CONFIG parameter"]
        .iter()
        .any(|text| message.contains(text))
}

/// A value that is shown in words of the server's own is fine; one that has not moved is not.
fn is_ignored(done: &Done<'_>, shown: &BTreeMap<String, String>) -> bool {
    shown.get(done.name).is_some_and(|now| now == done.before && !same(done.name, done.value, now))
}

async fn refused(connection: &mut Connection, name: &str, message: String, done: &[Done<'_>]) -> ApplyError {
    let mut left = Left::default();
    for done in done.iter().rev() {
        if connection.config_set(&[(done.name, done.before)]).await.is_err() {
            left.0.push(done.name.to_owned());
        }
    }
    ApplyError::Refused { directive: name.to_owned(), message: reason(&message), left }
}

/// The part behind `CONFIG SET failed (possibly related to argument 'x') - `.
fn reason(message: &str) -> String {
    message.split_once("') - ").map_or(message, |(_, reason)| reason).to_owned()
}
