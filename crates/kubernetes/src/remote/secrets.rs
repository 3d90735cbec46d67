//! The passwords of a set, from its Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use redoubt_wire::secrets::{
    AGENT, APPLICATION, Password, REPLICATION, SENTINEL, SENTINEL_AT_NODES, Secrets, TOKEN,
};

use super::RemoteError;

/// All of them, or the name of the key at fault.
pub(super) fn read(secret: &str, data: &BTreeMap<String, ByteString>) -> Result<Secrets, RemoteError> {
    let one = |key: &str| {
        let fault = |why: String| RemoteError::Unfit { what: format!("the Secret {secret}"), why };
        let text = data.get(key).ok_or_else(|| fault(format!("it has no key {key}")))?;
        Password::parse(&text.0).map_err(|why| fault(format!("its key {key} {why}")))
    };
    Ok(Secrets {
        application: one(APPLICATION)?,
        agent: one(AGENT)?,
        replication: one(REPLICATION)?,
        sentinel_at_nodes: one(SENTINEL_AT_NODES)?,
        sentinel: one(SENTINEL)?,
        token: one(TOKEN)?,
    })
}

#[cfg(test)]
mod tests {
    use redoubt_wire::secrets::ALL;

    use super::*;

    #[test]
    fn a_key_at_fault_is_named_without_its_content() {
        let whole: BTreeMap<_, _> =
            ALL.map(|name| (name.to_owned(), ByteString(format!("{name}-1234").into_bytes()))).into();
        assert!(read("cart-auth", &whole).is_ok());
        let mut missing = whole.clone();
        missing.remove(TOKEN);
        let why = read("cart-auth", &missing).unwrap_err().to_string();
        assert_eq!(why, "the Secret cart-auth cannot be used: it has no key token");
        let mut unfit = whole;
        unfit.insert(SENTINEL.to_owned(), ByteString(b"two words".to_vec()));
        let why = read("cart-auth", &unfit).unwrap_err().to_string();
        assert!(why.contains("its key sentinel-password ") && !why.contains("words"), "{why}");
    }
}
