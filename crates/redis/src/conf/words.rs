//! A line and its words: sds.c `sdssplitargs` and `sdscatrepr`, which the servers use for their files.

use std::{borrow::Cow, str};

/// Why a line cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsFault {
    /// A quotation has no end.
    #[error("a quotation is not closed")]
    Unclosed,
    /// A closing quote is followed by something else than a space.
    #[error("a closing quote must be followed by a space")]
    Glued,
    /// What the quotations hold is not UTF-8.
    #[error("a word is not UTF-8 text")]
    NotText,
}

/// The word as it may stand in a line: bare where it can be, else in double quotes.
#[must_use]
pub fn quote(word: &str) -> Cow<'_, str> {
    let bare = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'');
    if !word.is_empty() && !word.starts_with('#') && word.bytes().all(bare) {
        return Cow::Borrowed(word);
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for byte in word.bytes() {
        push_escaped(byte, &mut quoted);
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

fn push_escaped(byte: u8, out: &mut String) {
    match byte {
        b'\\' => out.push_str("\\\\"),
        b'"' => out.push_str("\\\""),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        0x07 => out.push_str("\\a"),
        0x08 => out.push_str("\\b"),
        b' ' => out.push(' '),
        byte if byte.is_ascii_graphic() => out.push(char::from(byte)),
        byte => out.extend(['\\', 'x', hex_digit(byte >> 4), hex_digit(byte & 0x0f)]),
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble)])
}

/// A line of these words.
#[must_use]
pub fn join(words: &[impl AsRef<str>]) -> String {
    words.iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// The words of a line, quotations undone.
pub fn split(line: &str) -> Result<Vec<String>, WordsFault> {
    let mut rest = skip_space(line.as_bytes());
    let mut words = Vec::new();
    while !rest.is_empty() {
        let (word, after) = take_word(rest)?;
        words.push(String::from_utf8(word).map_err(|_| WordsFault::NotText)?);
        rest = skip_space(after);
    }
    Ok(words)
}

/// A word, or a part of one, and what follows it.
type Taken<'a> = (Vec<u8>, &'a [u8]);

/// One word, which may begin bare and go on in quotes.
fn take_word(mut rest: &[u8]) -> Result<Taken<'_>, WordsFault> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => return closed(word, take_double_quoted(after)?),
            b'\'' => return closed(word, take_single_quoted(after)?),
            byte if is_space(byte) => break,
            byte => word.push(byte),
        }
        rest = after;
    }
    Ok((word, rest))
}

fn closed(mut word: Vec<u8>, (quoted, rest): Taken<'_>) -> Result<Taken<'_>, WordsFault> {
    if rest.first().is_some_and(|&byte| !is_space(byte)) {
        return Err(WordsFault::Glued);
    }
    word.extend(quoted);
    Ok((word, rest))
}

fn take_double_quoted(mut rest: &[u8]) -> Result<Taken<'_>, WordsFault> {
    let mut content = Vec::new();
    loop {
        match rest {
            [] => return Err(WordsFault::Unclosed),
            [b'"', after @ ..] => return Ok((content, after)),
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                content.push(hex_value(*high) * 16 + hex_value(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                content.push(unescape(*escaped));
                rest = after;
            }
            [byte, after @ ..] => {
                content.push(*byte);
                rest = after;
            }
        }
    }
}

fn take_single_quoted(mut rest: &[u8]) -> Result<Taken<'_>, WordsFault> {
    let mut content = Vec::new();
    loop {
        match rest {
            [] => return Err(WordsFault::Unclosed),
            [b'\\', b'\'', after @ ..] => {
                content.push(b'\'');
                rest = after;
            }
            [b'\'', after @ ..] => return Ok((content, after)),
            [byte, after @ ..] => {
                content.push(*byte);
                rest = after;
            }
        }
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 0x07,
        b'b' => 0x08,
        other => other,
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        digit => digit - b'0',
    }
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn skip_space(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&byte| !is_space(byte)).unwrap_or(bytes.len());
    &bytes[start..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_split_as_the_server_splits_it() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("  save  3600 1\t", &["save", "3600", "1"]),
            (r#"requirepass "a \"b\" \\ \x41\n""#, &["requirepass", "a \"b\" \\ A\n"]),
            (r"requirepass 'a \' \n'", &["requirepass", r"a ' \n"]),
            (r#"save """#, &["save", ""]),
            (r#"dir /a"b c""#, &["dir", "/ab c"]),
            (r"path C:\x41\n", &["path", r"C:\x41\n"]),
            (r#"a "\xzz""#, &["a", "xzz"]),
            (r#"a "\xc3\xa9""#, &["a", "é"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn what_the_server_refuses_is_refused() {
        for (line, fault) in [
            ("a \"b", WordsFault::Unclosed),
            ("a 'b", WordsFault::Unclosed),
            ("a \"b\\\"", WordsFault::Unclosed),
            ("a \"b\"c", WordsFault::Glued),
            ("a 'b'\"c\"", WordsFault::Glued),
            ("a \"\\xff\"", WordsFault::NotText),
        ] {
            assert_eq!(split(line), Err(fault), "{line}");
        }
    }

    #[test]
    fn a_plain_word_stays_bare() {
        assert_eq!(
            join(&["appendonly", "yes", "", "# no", "a b", "it's"]),
            r##"appendonly yes "" "# no" "a b" "it's""##
        );
    }

    proptest! {
        #[test]
        fn any_words_come_back(words in prop::collection::vec(any::<String>(), 0..6)) {
            let line = join(&words);
            prop_assert!(!line.contains('\n') && !line.starts_with('#'));
            prop_assert_eq!(split(&line), Ok(words));
        }

        #[test]
        fn no_line_makes_it_panic(line in any::<String>()) {
            let _outcome = split(&line);
        }

        #[test]
        fn no_quotation_makes_it_panic(line in "[\"'\\\\xab41 ]{0,12}") {
            let _outcome = split(&line);
        }
    }
}
