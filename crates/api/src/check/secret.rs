//! A Secret beside the resources.

use super::{Findings, names};
use crate::{CheckedSecret, Fault, PASSWORD_KEY, Secret};

/// Longest password: a line of `redis.conf` with room to spare.
const MAX_PASSWORD: usize = 512;
/// Shorter ones are found by trying: a server answers a hundred thousand guesses a second.
const MIN_PASSWORD: usize = 8;

/// Judges a Secret: it has to hold a password that servers and their files can carry.
pub fn check_secret(secret: &Secret) -> Result<CheckedSecret, Vec<Fault>> {
    let mut findings = Findings::default();
    names::subdomain("metadata.name", &secret.metadata.name, &mut findings);
    let password = password(secret, &mut findings);
    match password {
        Some(password) if findings.faults.is_empty() => {
            Ok(CheckedSecret { key: secret.metadata.key(), password })
        }
        _ => Err(findings.faults),
    }
}

fn password(secret: &Secret, findings: &mut Findings) -> Option<String> {
    if let Some(text) = secret.string_data.get(PASSWORD_KEY) {
        judge(&format!("stringData.{PASSWORD_KEY}"), text, findings);
        return Some(text.clone());
    }
    let path = format!("data.{PASSWORD_KEY}");
    let Some(encoded) = secret.data.get(PASSWORD_KEY) else {
        findings.fault(
            "stringData",
            format!("there is no key {PASSWORD_KEY:?}"),
            "add stringData: {password: …}",
        );
        return None;
    };
    let Some(text) = base64(encoded).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        findings.fault(&path, "is not text in base64", "encode it, or put it under stringData as it is");
        return None;
    };
    judge(&path, &text, findings);
    Some(text)
}

/// Never repeats the password.
fn judge(path: &str, password: &str, findings: &mut Findings) {
    const HINT: &str = "use letters and digits, as from: openssl rand -hex 24";
    if password.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let hint = "remove blanks and line ends: echo adds one, echo -n does not";
        findings.fault(path, "contains a blank, a line end or a control character", hint);
    } else if password.len() < MIN_PASSWORD {
        findings.fault(path, format!("is shorter than {MIN_PASSWORD} characters"), HINT);
    } else if password.len() > MAX_PASSWORD {
        findings.fault(path, format!("is longer than {MAX_PASSWORD} bytes"), HINT);
    }
}

/// Decodes standard base64; blanks and line ends between the letters do not count.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !packed.len().is_multiple_of(4) {
        return None;
    }
    let padding = packed.iter().rev().take_while(|byte| **byte == b'=').count();
    let letters = packed.get(..packed.len().checked_sub(padding.min(2))?)?;
    let mut bytes = Vec::with_capacity(packed.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for letter in letters {
        let value = LETTERS.iter().position(|known| known == letter)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_kubernetes_writes_it() {
        for (text, bytes) in
            [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("czNjcjN0LXdvcmQ=\n", "s3cr3t-word")]
        {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text:?}");
        }
        for text in ["a", "YQ", "====", "Y=Q=", "!!!!", "YQ==YQ=="] {
            assert_eq!(base64(text), None, "{text:?}");
        }
    }
}
