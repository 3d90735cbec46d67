//! One password, and the one before it.

use secrecy::{ExposeSecret as _, SecretString};

/// Longest password, bytes. (Servers accept more; their own limit for `masterauth` was this.)
pub const MAX_PASSWORD: usize = 512;

/// The password in use and, during a rotation, the one before it.
#[derive(Debug, Clone)]
pub struct Password {
    current: SecretString,
    previous: Option<SecretString>,
}

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Nothing in it.
    #[error("is empty; write the password on its first line")]
    Empty,
    /// Longer than [`MAX_PASSWORD`].
    #[error("holds a password longer than {MAX_PASSWORD} bytes; choose a shorter one")]
    TooLong,
    /// Not UTF-8.
    #[error("is not UTF-8; choose a password of letters and digits")]
    NotUtf8,
    /// White space inside.
    #[error(
        "holds a password with white space in it, which the servers' files cannot carry; choose another one"
    )]
    WhiteSpace,
    /// A control character inside.
    #[error("holds a control character, which the servers' files cannot carry; choose another password")]
    Control,
    /// A quotation mark inside: Sentinel writes passwords unquoted into its file, and could not read it again.
    #[error("holds a quotation mark, which the Sentinels' files cannot carry; choose another password")]
    Quote,
    /// A token with characters that no HTTP header carries.
    #[error("holds a token with characters other than ASCII; choose one of letters and digits")]
    NotAscii,
    /// A third line.
    #[error("has more than two lines; it holds the password and at most the previous one")]
    Lines,
}

impl Password {
    /// A password without a previous one.
    pub fn new(current: impl Into<String>) -> Result<Self, PasswordFault> {
        Ok(Self { current: checked(&current.into())?, previous: None })
    }

    /// The same password with this one still accepted.
    pub fn with_previous(self, previous: impl Into<String>) -> Result<Self, PasswordFault> {
        Ok(Self { previous: Some(checked(&previous.into())?), ..self })
    }

    /// The content of a secret file.
    pub fn parse(content: &[u8]) -> Result<Self, PasswordFault> {
        if content.len() as u64 > super::MAX_FILE {
            return Err(PasswordFault::TooLong);
        }
        let text = std::str::from_utf8(content).map_err(|_| PasswordFault::NotUtf8)?;
        let text = text.trim_end_matches(['\n', '\r']);
        let mut lines = text.lines();
        let current = checked(lines.next().unwrap_or_default())?;
        let previous = lines.next();
        if lines.next().is_some() {
            return Err(PasswordFault::Lines);
        }
        Ok(Self { current, previous: previous.map(checked).transpose()? })
    }

    /// The same password, if it can travel in an HTTP header.
    pub(super) fn for_header(self) -> Result<Self, PasswordFault> {
        if self.accepted().all(|text| text.expose_secret().is_ascii()) {
            Ok(self)
        } else {
            Err(PasswordFault::NotAscii)
        }
    }

    /// The one to connect with.
    #[must_use]
    pub fn current(&self) -> &SecretString {
        &self.current
    }

    /// The one that is still accepted.
    #[must_use]
    pub fn previous(&self) -> Option<&SecretString> {
        self.previous.as_ref()
    }

    /// All that are accepted, the current one first.
    pub fn accepted(&self) -> impl Iterator<Item = &SecretString> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// Both lines are equal. Not for a password that somebody presents: the time it takes tells about the content.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.accepted().map(SecretString::expose_secret).eq(other.accepted().map(SecretString::expose_secret))
    }
}

fn checked(text: &str) -> Result<SecretString, PasswordFault> {
    let fault = text.chars().find_map(|c| match c {
        '"' | '\'' => Some(PasswordFault::Quote),
        c if c.is_whitespace() => Some(PasswordFault::WhiteSpace),
        c if c.is_control() => Some(PasswordFault::Control),
        _ => None,
    });
    match fault {
        Some(fault) => Err(fault),
        None if text.is_empty() => Err(PasswordFault::Empty),
        None if text.len() > MAX_PASSWORD => Err(PasswordFault::TooLong),
        None => Ok(SecretString::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_previous_password_is_accepted_and_not_used() {
        for content in ["new\nold", "new\nold\n", "new\r\nold\r\n"] {
            let password = Password::parse(content.as_bytes()).unwrap();
            assert_eq!(password.current().expose_secret(), "new");
            assert_eq!(
                password.accepted().map(SecretString::expose_secret).collect::<Vec<_>>(),
                ["new", "old"]
            );
        }
    }

    #[test]
    fn two_passwords_of_the_longest_kind_fit() {
        let long = "x".repeat(MAX_PASSWORD);
        assert!(Password::parse(format!("{long}\r\n{long}\r\n").as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn no_content_breaks_the_parser_and_what_it_accepts_survives_unquoted(content: Vec<u8>) {
            if let Ok(password) = Password::parse(&content) {
                for accepted in password.accepted() {
                    let text = accepted.expose_secret();
                    prop_assert!(!text.is_empty() && text.len() <= MAX_PASSWORD);
                    prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), [text]);
                }
            }
        }
    }
}
