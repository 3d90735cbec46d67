//! Passwords that users give: `auth.secretName: cart-login` is the file `secrets/cart-login/password` in the state
//! folder, laid out as a mounted Secret is on Kubernetes.

use std::path::Path;

use redoubt_api::{CheckedRedis, CheckedSecret, PASSWORD_KEY};
use redoubt_wire::secrets::{APPLICATION, Password, generate_missing, load_one};
use secrecy::{ExposeSecret as _, zeroize::Zeroizing};

use crate::{
    error::LocalError,
    files,
    names::is_object_name,
    paths::{SetDir, StateDir},
};

/// Keeps the password of a Secret that was written beside the resources.
pub(crate) fn keep_secret(state: &StateDir, secret: &CheckedSecret) -> Result<(), LocalError> {
    let dir = state.given_secret(&secret.key.name);
    files::private_dir(&dir)?;
    let text = Zeroizing::new(format!("{}\n", secret.password));
    files::write_changed(&dir.join(PASSWORD_KEY), text.as_bytes()).map(|_| ())
}

/// The password the resource names; `None` when it names none.
pub(crate) fn given_password(state: &StateDir, redis: &CheckedRedis) -> Result<Option<Password>, LocalError> {
    let Some(secret) = redis.spec.auth.secret_name.as_deref().filter(|_| redis.spec.auth.enabled) else {
        return Ok(None);
    };
    let name = redis.key.name.clone();
    if !is_object_name(secret) {
        return Err(LocalError::SecretName { name, secret: secret.to_owned() });
    }
    load_one(&state.given_secret(secret), PASSWORD_KEY)
        .map(Some)
        .map_err(|source| LocalError::Password { name, source })
}

/// Makes the set's folder of secrets be what the resource asks for: the given password, or a made one, and made ones
/// for everybody else. A password that changes stays accepted beside the new one, until it changes again.
pub(crate) fn settle_secrets(state: &StateDir, set: &SetDir, redis: &CheckedRedis) -> Result<(), LocalError> {
    // Read first: when it is not fit, nothing is touched.
    if let Some(given) = given_password(state, redis)? {
        files::private_dir(&set.secrets())?;
        let path = set.application_password();
        let there = load_one(&set.secrets(), APPLICATION).ok();
        if !there.as_ref().is_some_and(|there| same(there, &given)) {
            write_password(&path, &given, there.as_ref())?;
        }
    }
    generate_missing(&set.secrets())?;
    Ok(())
}

fn same(a: &Password, b: &Password) -> bool {
    a.current().expose_secret() == b.current().expose_secret()
}

fn write_password(path: &Path, given: &Password, before: Option<&Password>) -> Result<(), LocalError> {
    let previous = given.previous().or_else(|| before.map(Password::current));
    let mut text = Zeroizing::new(given.current().expose_secret().to_owned());
    text.push('\n');
    if let Some(previous) = previous {
        text.push_str(previous.expose_secret());
        text.push('\n');
    }
    files::write(path, text.as_bytes())
}
