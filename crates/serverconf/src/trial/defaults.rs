//! What a directive is when nobody sets it.

use std::{collections::BTreeMap, path::Path};

use redoubt_redis::conf::ConfFile;

use super::{Kind, Trial, TrialError};

/// The defaults of these directives, asked of a throw-away server: so a directive that was taken out of the resource
/// goes back to what this very binary would have it. What CONFIG GET does not know is not in the answer.
pub async fn defaults(
    server: &Path,
    directives: &[&str],
    scratch: &Path,
) -> Result<BTreeMap<String, String>, TrialError> {
    if directives.is_empty() {
        return Ok(BTreeMap::new());
    }
    let trial = Trial::start(server, Kind::Node, ConfFile::default(), scratch).await?;
    let mut all = trial.connect().await?.config_get("*").await?;
    trial.stop().await;
    all.retain(|name, _| directives.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
    Ok(all)
}
