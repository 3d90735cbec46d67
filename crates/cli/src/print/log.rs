//! One line of an agent's log, for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};

const FAINT: Style = Style::new().dimmed();

/// A JSON line as text; anything else as it is.
pub(crate) fn line(raw: &str) -> String {
    let Ok(Value::Object(mut line)) = serde_json::from_str::<Value>(raw) else {
        return raw.to_owned();
    };
    if let Some(Value::Object(fields)) = line.remove("fields") {
        line.extend(fields);
    }
    let mut take = |name: &str| line.shift_remove(name).map(plain).unwrap_or_default();
    let (time, level, message) = (take("timestamp"), take("level"), take("message"));
    let style = style_of(&level);
    let mut text = String::new();
    let _ = write!(text, "{FAINT}{time}{FAINT:#} {style}{level:>5}{style:#} {message}");
    rest(&mut text, &line);
    text
}

fn rest(text: &mut String, line: &Map<String, Value>) {
    for (name, value) in line.iter().filter(|(name, _)| name.as_str() != "target") {
        let _ = write!(text, " {FAINT}{name}={FAINT:#}{}", plain(value.clone()));
    }
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn style_of(level: &str) -> Style {
    match level.to_ascii_uppercase().as_str() {
        "ERROR" => AnsiColor::Red.on_default().bold(),
        "WARN" | "WARNING" => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Green.on_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_line(raw: &str) -> String {
        anstream::adapter::strip_str(&line(raw)).to_string()
    }

    #[test]
    fn a_line_reads_time_level_message_and_then_the_rest() {
        let nested = r#"{"timestamp":"12:00:00.1Z","level":"INFO","fields":{"message":"promoted","node":"cart-1","epoch":3},"target":"x"}"#;
        let flat =
            r#"{"timestamp":"12:00:00.1Z","level":"INFO","message":"promoted","node":"cart-1","epoch":3}"#;
        for raw in [nested, flat] {
            assert_eq!(plain_line(raw), "12:00:00.1Z  INFO promoted node=cart-1 epoch=3");
        }
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is() {
        for raw in ["", "thread panicked", "{broken", "[1]"] {
            assert_eq!(plain_line(raw), raw);
        }
    }
}
