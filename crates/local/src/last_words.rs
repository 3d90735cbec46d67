//! The end of a log, for a message.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// How much of a log's end is looked at, bytes: several lines of any agent.
const TAIL: u64 = 8 << 10;
/// Longest message that is quoted, characters.
const MAX_WORDS: usize = 300;

/// The last line of a log; of a structured line, its message. Empty when there is none.
pub(crate) fn last_words(log: &Path) -> String {
    let tail = tail(log).unwrap_or_default();
    let line = tail.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    message(line).unwrap_or_else(|| line.to_owned()).chars().take(MAX_WORDS).collect()
}

fn tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where `tracing` puts the message, depending on whether fields are flattened.
fn message(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let message = value.get("message").or_else(|| value.get("fields")?.get("message"))?;
    let error = value.get("error").or_else(|| value.get("fields")?.get("error"));
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(match error {
        Some(error) => format!("{}: {}", text(message), text(error)),
        None => text(message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_quoted_by_its_message() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("agent.log");
        assert_eq!(last_words(&log), "");
        for (content, words) in [
            ("one\ntwo\n\n", "two"),
            (
                r#"{"level":"ERROR","fields":{"message":"cannot start","error":"no data"}}"#,
                "cannot start: no data",
            ),
            (r#"{"message":"bye"}"#, "bye"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
        ] {
            std::fs::write(&log, content).unwrap();
            assert_eq!(last_words(&log), words);
        }
        std::fs::write(&log, "x".repeat(20_000)).unwrap();
        assert_eq!(last_words(&log).len(), MAX_WORDS);
    }
}
