//! What a server answers, RESP2 and RESP3 alike.

use std::fmt;

use bytes::Bytes;

/// One reply. Verbatim strings are [`Value::Bulk`], sets are [`Value::Array`], attributes are dropped.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A status line, as `OK`.
    Simple(String),
    /// An error reply.
    Error(ServerError),
    /// A number.
    Integer(i64),
    /// Bytes of any kind.
    Bulk(Bytes),
    /// Nothing: a null of either protocol version.
    Null,
    /// A list.
    Array(Vec<Value>),
    /// Pairs, in the order they came (RESP3).
    Map(Vec<(Value, Value)>),
    /// A floating point number (RESP3).
    Double(f64),
    /// Yes or no (RESP3).
    Bool(bool),
    /// A number too big for 64 bits, in decimal digits (RESP3).
    BigNumber(String),
    /// A message the server sends unasked (RESP3).
    Push(Vec<Value>),
}

/// An error reply: `-CODE message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// First word when it is written in capitals, else `ERR`: `NOAUTH`, `READONLY`, `LOADING`, ….
    pub code: String,
    /// The rest, without the arguments that some servers repeat: they may be secrets.
    pub message: String,
}

/// A reply of another shape than the caller needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got}")]
pub struct Mismatch {
    /// What was needed.
    pub expected: String,
    /// What came, without contents that may be secret.
    pub got: String,
}

impl Mismatch {
    /// A mismatch between these two descriptions.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { expected: expected.into(), got: got.into() }
    }
}

impl ServerError {
    /// Splits the text behind the `-`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        let is_code =
            !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let (code, message) = if is_code { (first, rest) } else { ("ERR", text) };
        Self { code: code.to_owned(), message: without_arguments(message) }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// Cuts what servers repeat of a command's arguments (server.c `rejectCommandFormat`, acl.c `ACLSetUser`).
fn without_arguments(message: &str) -> String {
    if let Some((before, _)) = message.split_once(", with args beginning with") {
        return before.to_owned();
    }
    let modifier = "modifier '";
    if let Some((before, after)) = message.split_once(modifier)
        && after.starts_with(['>', '<', '#', '!'])
    {
        let reason = after.rsplit_once("':").map_or("", |(_, reason)| reason);
        return format!("{before}{modifier}(hidden)':{reason}");
    }
    message.to_owned()
}

impl Value {
    /// A bulk reply of this text.
    #[must_use]
    pub fn bulk(text: &str) -> Self {
        Self::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// The text of a simple or bulk string.
    pub fn as_str(&self) -> Result<&str, Mismatch> {
        match self {
            Self::Simple(text) => Ok(text),
            Self::Bulk(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| Mismatch::new("UTF-8 text", self.describe()))
            }
            _ => Err(self.mismatch("a string")),
        }
    }

    /// The bytes of a simple or bulk string.
    pub fn as_bytes(&self) -> Result<&[u8], Mismatch> {
        match self {
            Self::Simple(text) => Ok(text.as_bytes()),
            Self::Bulk(bytes) => Ok(bytes),
            _ => Err(self.mismatch("a string")),
        }
    }

    /// The number, also when it is written in a string.
    pub fn as_i64(&self) -> Result<i64, Mismatch> {
        match self {
            Self::Integer(number) => Ok(*number),
            Self::Simple(_) | Self::Bulk(_) => {
                self.as_str()?.parse().map_err(|_| self.mismatch("an integer"))
            }
            _ => Err(self.mismatch("an integer")),
        }
    }

    /// The number when it is not negative, also when it is written in a string.
    pub fn as_u64(&self) -> Result<u64, Mismatch> {
        u64::try_from(self.as_i64()?).map_err(|_| self.mismatch("an integer not below zero"))
    }

    /// The items of a list.
    pub fn as_array(&self) -> Result<&[Value], Mismatch> {
        match self {
            Self::Array(items) | Self::Push(items) => Ok(items),
            _ => Err(self.mismatch("a list")),
        }
    }

    /// The items of a list.
    pub fn into_array(self) -> Result<Vec<Value>, Mismatch> {
        match self {
            Self::Array(items) | Self::Push(items) => Ok(items),
            other => Err(other.mismatch("a list")),
        }
    }

    /// The pairs of a map, or of a list that alternates keys and values as RESP2 writes maps.
    pub fn into_pairs(self) -> Result<Vec<(Value, Value)>, Mismatch> {
        match self {
            Self::Map(pairs) => Ok(pairs),
            Self::Array(items) if items.len().is_multiple_of(2) => Ok(pair_up(items)),
            other => Err(other.mismatch("pairs")),
        }
    }

    /// Fails unless the reply is `+OK`.
    pub fn into_ok(self) -> Result<(), Mismatch> {
        match self {
            Self::Simple(text) if text == "OK" => Ok(()),
            other => Err(other.mismatch("OK")),
        }
    }

    /// Kind and size, never contents: replies may hold secrets.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Simple(_) => "a status line".to_owned(),
            Self::Error(error) => format!("the error {}", error.code),
            Self::Integer(number) => format!("the integer {number}"),
            Self::Bulk(bytes) => format!("a string of {} bytes", bytes.len()),
            Self::Null => "nothing".to_owned(),
            Self::Array(items) => format!("a list of {}", items.len()),
            Self::Map(pairs) => format!("a map of {}", pairs.len()),
            Self::Double(number) => format!("the number {number}"),
            Self::Bool(yes) => format!("{yes}"),
            Self::BigNumber(_) => "a big number".to_owned(),
            Self::Push(items) => format!("a push message of {}", items.len()),
        }
    }

    fn mismatch(&self, expected: &str) -> Mismatch {
        Mismatch::new(expected, self.describe())
    }
}

/// `[k1, v1, k2, v2]` as pairs; an odd last item is dropped.
pub(crate) fn pair_up(items: Vec<Value>) -> Vec<(Value, Value)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reply_is_split_into_code_and_message() {
        let cases = [
            ("NOAUTH Authentication required.", "NOAUTH", "Authentication required."),
            ("ERR unknown command 'x', with args beginning with: 's3cret' ", "ERR", "unknown command 'x'"),
            ("MASTERDOWN", "MASTERDOWN", ""),
            ("invalid thing", "ERR", "invalid thing"),
            ("", "ERR", ""),
        ];
        for (text, code, message) in cases {
            let error = ServerError::parse(text);
            assert_eq!((error.code.as_str(), error.message.as_str()), (code, message), "{text}");
        }
    }

    #[test]
    fn an_error_reply_never_repeats_a_password() {
        let error =
            ServerError::parse("ERR Error in ACL SETUSER modifier '#s3cret': The password hash is bad");
        assert_eq!(error.message, "Error in ACL SETUSER modifier '(hidden)': The password hash is bad");
    }

    #[test]
    fn a_reply_of_another_shape_says_what_was_expected() {
        let fault = Value::Integer(3).as_str().unwrap_err();
        assert_eq!(fault.to_string(), "expected a string, got the integer 3");
        let fault = Value::bulk("s3cret").into_array().unwrap_err();
        assert_eq!(fault.to_string(), "expected a list, got a string of 6 bytes");
        assert_eq!(Value::bulk("-7").as_i64(), Ok(-7));
        assert!(Value::bulk("-7").as_u64().is_err());
        assert!(Value::Array(vec![Value::Null]).into_pairs().is_err());
    }
}
