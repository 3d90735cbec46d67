//! The Secret of a set: made once, never changed but for a password that the user gave.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use redoubt_api::{CheckedRedis, PASSWORD_KEY, ResourceKind};
use redoubt_engine::platform::PlatformError;
use redoubt_wire::secrets::{ALL, APPLICATION, Password, random};
use secrecy::ExposeSecret;

use crate::{
    access::{Cluster, Effect},
    names::Names,
    objects,
};

type Data = BTreeMap<String, ByteString>;

/// Makes the Secret be there, with everything in it.
pub(crate) async fn settle(cluster: &Cluster, redis: &CheckedRedis, uid: &str) -> Result<(), PlatformError> {
    let given = given(cluster, redis).await?;
    let (namespace, name) = (&redis.key.namespace, Names::of(&redis.key).auth());
    let there =
        cluster.get::<Secret>(namespace, &name).await?.and_then(|secret| secret.data).unwrap_or_default();
    let data = completed(there.clone(), given.as_ref()).map_err(|why| fault(&name, why))?;
    if data == there {
        return Ok(());
    }
    cluster.apply(&objects::secret(redis, uid, data), Effect::Real).await.map(drop)
}

/// The password that the resource names.
pub(crate) async fn given(
    cluster: &Cluster,
    redis: &CheckedRedis,
) -> Result<Option<Password>, PlatformError> {
    let Some(name) = redis.spec.auth.secret_name.as_deref().filter(|_| redis.spec.auth.enabled) else {
        return Ok(None);
    };
    let secret = cluster.get::<Secret>(&redis.key.namespace, name).await?;
    let secret = secret.ok_or_else(|| PlatformError {
        what: format!("{}: the Secret {name} is refused", field(redis.key.kind)),
        why: format!("there is none in namespace {}", redis.key.namespace),
        next: format!("create it with the key {PASSWORD_KEY}"),
    })?;
    let data = secret.data.unwrap_or_default();
    let Some(text) = data.get(PASSWORD_KEY) else {
        let keys = data.keys().cloned().collect::<Vec<_>>().join(", ");
        let why = format!("it has no key {PASSWORD_KEY} (it has: {keys})");
        return Err(fault(name, why));
    };
    Password::parse(&text.0).map(Some).map_err(|why| fault(name, format!("its key {PASSWORD_KEY} {why}")))
}

/// The field that names it.
fn field(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Redis => "spec.auth.secretName",
        ResourceKind::RedisFailover => "spec.auth.secretPath",
    }
}

fn fault(secret: &str, why: String) -> PlatformError {
    PlatformError {
        what: format!("the Secret {secret} cannot be used"),
        why,
        next: format!("write the password under the key {PASSWORD_KEY}, as from: openssl rand -hex 24"),
    }
}

/// What is missing is made; the given password replaces the one there, which stays accepted as the previous one.
fn completed(mut data: Data, given: Option<&Password>) -> Result<Data, String> {
    if let Some(given) = given {
        let there = data.get(APPLICATION).and_then(|text| Password::parse(&text.0).ok());
        let same = there
            .as_ref()
            .is_some_and(|there| there.current().expose_secret() == given.current().expose_secret());
        if !same {
            let previous = given.previous().or(there.as_ref().map(Password::current));
            let lines = [Some(given.current()), previous].into_iter().flatten();
            let text: Vec<&str> = lines.map(ExposeSecret::expose_secret).collect();
            data.insert(APPLICATION.to_owned(), ByteString(text.join("\n").into_bytes()));
        }
    }
    for name in ALL {
        if !data.contains_key(name) {
            let password = random().map_err(|error| error.to_string())?;
            data.insert(name.to_owned(), ByteString(password.as_bytes().to_vec()));
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &Data, name: &str) -> String {
        String::from_utf8(data[name].0.clone()).unwrap()
    }

    #[test]
    fn what_is_there_is_never_made_anew() {
        let first = completed(Data::new(), None).unwrap();
        assert_eq!(first.len(), ALL.len());
        assert_eq!(completed(first.clone(), None).unwrap(), first);
    }

    #[test]
    fn a_given_password_keeps_the_one_before_it_accepted() {
        let first = completed(Data::new(), None).unwrap();
        let given = Password::new("given-1234").unwrap();
        let second = completed(first.clone(), Some(&given)).unwrap();
        assert_eq!(text(&second, APPLICATION), format!("given-1234\n{}", text(&first, APPLICATION)));
        assert_eq!(completed(second.clone(), Some(&given)).unwrap(), second);
    }
}
