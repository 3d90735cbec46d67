//! Who may ask.

use std::sync::{Arc, PoisonError, RwLock};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use redoubt_wire::secrets::Password;
use secrecy::ExposeSecret as _;
use subtle::{Choice, ConstantTimeEq as _};

use super::answer::Denied;

/// The tokens that are accepted: the current one and, during a rotation, the one before. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Tokens(Arc<RwLock<Password>>);

impl Tokens {
    /// Accepts this token.
    pub(crate) fn new(token: Password) -> Self {
        Self(Arc::new(RwLock::new(token)))
    }

    /// Accepts this token from now on; also on connections that are open already.
    pub(crate) fn replace(&self, token: Password) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Compares with every token in full, so that the time it takes tells nothing but lengths.
    fn accept(&self, presented: &[u8]) -> bool {
        let tokens = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |fits: Choice, token: &secrecy::SecretString| {
            fits | token.expose_secret().as_bytes().ct_eq(presented)
        };
        tokens.accepted().fold(Choice::from(0), fits).into()
    }
}

/// Lets a request pass that bears a token.
pub(super) async fn require(
    State(tokens): State<Tokens>,
    request: Request,
    next: Next,
) -> Result<Response, Denied> {
    match bearer(request.headers()) {
        Some(presented) if tokens.accept(presented) => Ok(next.run(request).await),
        Some(_) => Err(Denied::unauthorized("the token is not that of this set")),
        None => Err(Denied::unauthorized("no token was sent")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tokens_of_a_rotation_are_accepted_and_nothing_else() {
        let tokens = Tokens::new(Password::new("new").unwrap().with_previous("old").unwrap());
        for (presented, accepted) in
            [("new", true), ("old", true), ("", false), ("ne", false), ("newer", false), ("neW", false)]
        {
            assert_eq!(tokens.accept(presented.as_bytes()), accepted, "{presented}");
        }
        tokens.replace(Password::new("newest").unwrap());
        assert!(!tokens.accept(b"new") && tokens.accept(b"newest"));
    }

    #[test]
    fn only_a_bearer_header_bears_a_token() {
        let bearer_of = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(bearer_of("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(bearer_of("bearer abc"), Some(b"abc".to_vec()));
        for other in ["Basic abc", "Bearer", "abc", ""] {
            assert_eq!(bearer_of(other), None, "{other}");
        }
    }
}
