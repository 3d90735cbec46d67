//! CONFIG (<https://redis.io/docs/latest/commands/config/>).

use std::collections::BTreeMap;

use crate::{
    connection::Connection,
    error::Error,
    value::{Mismatch, Value},
};

impl Connection {
    /// CONFIG GET: the directives that match a glob pattern. Several patterns at once came with 7.0.
    pub async fn config_get(&mut self, pattern: &str) -> Result<BTreeMap<String, String>, Error> {
        self.call_as(&["CONFIG", "GET", pattern], directives).await
    }

    /// CONFIG SET of all these pairs.
    ///
    /// From 7.0 on all or none take effect. 6.2 knows one pair a command: there they are set one after another, and
    /// those before a refused one stay set.
    pub async fn config_set(&mut self, pairs: &[(&str, &str)]) -> Result<(), Error> {
        match self.config_set_at_once(pairs).await {
            Err(error) if pairs.len() > 1 && wants_one_pair(&error) => {
                for pair in pairs {
                    self.config_set_at_once(&[*pair]).await?;
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn config_set_at_once(&mut self, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let words = pairs.iter().flat_map(|&(name, value)| [name, value]);
        let args: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(words).collect();
        self.call_as(&args, Value::into_ok).await
    }

    /// CONFIG REWRITE: brings the file the server was started with up to date.
    pub async fn config_rewrite(&mut self) -> Result<(), Error> {
        self.call_as(&["CONFIG", "REWRITE"], Value::into_ok).await
    }
}

fn directives(reply: Value) -> Result<BTreeMap<String, String>, Mismatch> {
    let pairs = reply.into_pairs()?.into_iter();
    pairs.map(|(name, value)| Ok((name.as_str()?.to_owned(), value.as_str()?.to_owned()))).collect()
}

/// 6.2: `ERR Unknown subcommand or wrong number of arguments for 'SET'`.
fn wants_one_pair(error: &Error) -> bool {
    matches!(error, Error::Server { message, .. } if message.contains("wrong number of arguments"))
}
