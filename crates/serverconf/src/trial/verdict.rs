//! What a server that did not start said about it.

/// Lines of output that are kept: the complaint is at the end, a crash report may follow a module's.
pub(super) const LINES: usize = 64;

/// A server refused its configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}the server refuses it: {message}", .directive.as_ref().map(|name| format!("{name}: ")).unwrap_or_default())]
pub struct Refusal {
    /// The directive at fault, when the server names it.
    pub directive: Option<String>,
    /// The server's words.
    pub message: String,
}

impl Refusal {
    /// Reads the complaint of config.c `loadServerConfigFromString`, the same in all versions but for its first line:
    ///
    /// ```text
    /// *** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***
    /// Reading the configuration file, at line 2
    /// >>> 'maxmemory-policy best'
    /// argument(s) must be one of the following: volatile-lru, …
    /// ```
    ///
    /// Redis 8 takes a directive it does not know for a module's, and speaks of it later:
    ///
    /// ```text
    /// 22167:M 21 Nov 2026 02:03:18.069 # Unresolved Configuration(s) Detected:
    /// 22167:M 21 Nov 2026 02:03:18.070 # >>> 'no-such-directive 1'
    /// 22167:M 21 Nov 2026 02:03:18.070 # Module Configuration detected without loadmodule directive …: aborting
    /// ```
    pub(super) fn read(said: &[String]) -> Self {
        let begins = |text: &str| said.iter().position(|line| line.contains(text)).map(|at| &said[at + 1..]);
        if let Some(complaint) = begins("FATAL CONFIG FILE ERROR") {
            let quoted = complaint.iter().position(|line| line.starts_with(QUOTED));
            let message = complaint.get(quoted.map_or(0, |at| at + 1)).cloned().unwrap_or_default();
            return Self { directive: quoted.and_then(|at| directive(&complaint[at])), message };
        }
        if let Some(directive) =
            begins("Unresolved Configuration").and_then(|lines| directive(lines.first()?))
        {
            return Self {
                directive: Some(directive),
                message: "it does not know this directive".to_owned(),
            };
        }
        Self { directive: None, message: last_words(said) }
    }
}

/// Stands before the line at fault.
const QUOTED: &str = ">>> '";

/// The first word of the quoted line, or the first two of a Sentinel's.
fn directive(line: &str) -> Option<String> {
    let (_, line) = line.split_once(QUOTED)?;
    let mut words = line.trim_end_matches('\'').split_whitespace().map(str::to_ascii_lowercase);
    match words.next()? {
        sentinel if sentinel == "sentinel" => Some(words.next().unwrap_or(sentinel)),
        word => Some(word),
    }
}

/// The last line that says something, without process id and time.
fn last_words(said: &[String]) -> String {
    let line = said.iter().rev().find(|line| !line.trim().is_empty());
    let Some(line) = line else { return "it ended without a word".to_owned() };
    [" # ", " * "]
        .iter()
        .find_map(|mark| line.split_once(mark))
        .map_or(&line[..], |(_, text)| text)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Refusal {
        Refusal::read(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_complaint_names_directive_and_reason() {
        for (first, line, directive, message) in [
            ("(Redis 7.0.15)", "maxmemory-policy best", "maxmemory-policy", "argument(s) must be one of …"),
            ("(Redis 6.2.14)", "MaxMemory 1xb", "maxmemory", "argument must be a memory value"),
            ("(Version 9.1.2)", "no-such 1", "no-such", "Bad directive or wrong number of arguments"),
            ("(Redis 7.0.15)", "sentinel notification-script m /x", "notification-script", "non existing"),
        ] {
            let text = format!(
                "1:C 01 Jan # Redis is starting\n\n*** FATAL CONFIG FILE ERROR {first} ***\n\
                 Reading the configuration file, at line 2\n>>> '{line}'\n{message}\n"
            );
            assert_eq!(
                read(&text),
                Refusal { directive: Some(directive.to_owned()), message: message.to_owned() }
            );
        }
    }

    #[test]
    fn what_redis_8_takes_for_a_modules_is_unknown() {
        let refusal = read(
            "9:M 21 Nov 2026 02:03:18.069 # Unresolved Configuration(s) Detected:\n\
             9:M 21 Nov 2026 02:03:18.070 # >>> 'no-such-directive 1'\n\
             9:M 21 Nov 2026 02:03:18.070 # Module Configuration detected without loadmodule directive: aborting\n",
        );
        assert_eq!(
            refusal.to_string(),
            "no-such-directive: the server refuses it: it does not know this directive"
        );
    }

    #[test]
    fn without_a_line_there_is_still_the_reason() {
        let refusal = read("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nToo many arguments\n");
        assert_eq!(refusal, Refusal { directive: None, message: "Too many arguments".to_owned() });
        let refusal =
            read("7:M 21 Nov 2025 01:00:00.000 # Failed opening Unix socket: bind: No such file\n\n");
        assert_eq!(refusal.message, "Failed opening Unix socket: bind: No such file");
        assert_eq!(read("").to_string(), "the server refuses it: it ended without a word");
    }
}
