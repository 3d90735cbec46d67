//! Would a server start with this configuration?

use std::path::Path;

use redoubt_redis::conf::ConfFile;
use redoubt_wire::config::SetConfig;

use super::{Kind, Refusal, Trial, TrialError};
use crate::sentinel;

/// Directives that would reach out of the trial's folder. The others are overruled by what comes after them.
const SET_ASIDE: [&str; 4] = ["bind", "dir", "replicaof", "slaveof"];

/// Tries the text of a `redis.conf`: [`TrialError::Refused`] names the directive at fault.
///
/// The server that is running is not touched, nor any data. Takes tens of milliseconds.
pub async fn check(server: &Path, conf: &str, scratch: &Path) -> Result<(), TrialError> {
    let mut tried =
        conf.parse::<ConfFile>().map_err(|fault| Refusal { directive: None, message: fault.to_string() })?;
    tried.remove_where(|words| SET_ASIDE.iter().any(|name| words[0].eq_ignore_ascii_case(name)));
    Trial::start(server, Kind::Node, tried, scratch).await?.stop().await;
    Ok(())
}

/// Tries the user's directives for `sentinel.conf`, on a Sentinel that watches nobody.
pub async fn check_sentinel(server: &Path, set: &SetConfig, scratch: &Path) -> Result<(), TrialError> {
    let Some(config) = set.sentinel() else { return Ok(()) };
    let mut tried = ConfFile::default();
    // Port 1 of this machine: nobody answers there, and a Sentinel does not mind.
    tried.add(&["sentinel", "monitor", &config.master_name], &["127.0.0.1", "1", "1"]);
    sentinel::users(&mut tried, config);
    Trial::start(server, Kind::Sentinel, tried, scratch).await?.stop().await;
    Ok(())
}
