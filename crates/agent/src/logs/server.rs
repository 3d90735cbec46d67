//! The lines of redis-server, redis-sentinel and Valkey, taken apart and logged again as our own.
//!
//! Formats: Redis since 4.0 (`serverLogRaw` in `server.c`), Valkey since 8.1 also with `log-timestamp-format` (ISO
//! 8601 or milliseconds) and `log-format logfmt`. What fits none of them (a banner, a crash report, a loader's error)
//! is logged whole.

use tracing::Level;

/// Of `=== REDIS BUG REPORT START …` and `=== VALKEY BUG REPORT START …`.
const REPORT_BEGINS: &str = "BUG REPORT START";
const REPORT_ENDS: &str = "BUG REPORT END";

/// Logs what one server writes.
#[derive(Debug, Default)]
pub(crate) struct ServerLog {
    /// Within a crash report, whose lines are plain text.
    crashing: bool,
}

/// One line taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    /// Process that wrote it: the server or a child of it.
    pid: Option<u32>,
    role: Option<&'static str>,
    level: Level,
    message: &'a str,
}

impl ServerLog {
    /// Logs one line.
    pub(crate) fn log(&mut self, text: &str) {
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        emit(&self.classify(text));
    }

    fn classify<'a>(&mut self, text: &'a str) -> Line<'a> {
        if text.contains(REPORT_BEGINS) {
            self.crashing = true;
        }
        let mut line = parse(text);
        if self.crashing {
            line.level = Level::ERROR;
        }
        if text.contains(REPORT_ENDS) {
            self.crashing = false;
        }
        line
    }
}

fn emit(line: &Line<'_>) {
    let Line { pid, role, level, message } = line;
    match *level {
        Level::ERROR => tracing::error!(target: "server", pid, role, "{message}"),
        Level::WARN => tracing::warn!(target: "server", pid, role, "{message}"),
        Level::INFO => tracing::info!(target: "server", pid, role, "{message}"),
        Level::DEBUG => tracing::debug!(target: "server", pid, role, "{message}"),
        Level::TRACE => tracing::trace!(target: "server", pid, role, "{message}"),
    }
}

fn parse(text: &str) -> Line<'_> {
    let plain = Line { pid: None, role: None, level: Level::INFO, message: text };
    legacy(text).or_else(|| from_handler(text)).or_else(|| logfmt(text)).unwrap_or(plain)
}

/// `PID:ROLE TIMESTAMP LEVEL message`.
fn legacy(text: &str) -> Option<Line<'_>> {
    let (who, rest) = text.split_once(' ')?;
    let (pid, role) = who.split_once(':')?;
    let role = match role {
        "X" => "sentinel",
        "C" => "child",
        "S" => "replica",
        "M" => "master",
        _ => return None,
    };
    let (level, message) = level_and_message(rest)?;
    Some(Line { pid: Some(pid.parse().ok()?), role: Some(role), level, message })
}

/// The timestamp is one word (ISO 8601, milliseconds) or four (`21 Nov 2026 01:45:26.318`).
fn level_and_message(rest: &str) -> Option<(Level, &str)> {
    [1, 4].into_iter().find_map(|words| {
        let rest = (0..words).try_fold(rest, |rest, _| rest.split_once(' ').map(|(_, rest)| rest))?;
        let (sign, message) = rest.split_once(' ').unwrap_or((rest, ""));
        let level = match sign {
            "." => Level::TRACE,
            "-" => Level::DEBUG,
            "*" => Level::INFO,
            "#" => Level::WARN,
            _ => return None,
        };
        Some((level, message))
    })
}

/// `PID:signal-handler (TIME) message`: written where no formatting is safe.
fn from_handler(text: &str) -> Option<Line<'_>> {
    let (pid, rest) = text.split_once(":signal-handler (")?;
    let (_, message) = rest.split_once(") ")?;
    Some(Line { pid: Some(pid.parse().ok()?), role: None, level: Level::WARN, message })
}

/// `pid=1 role=primary timestamp="…" level=notice message="…"`; the server takes quotes out of messages.
fn logfmt(text: &str) -> Option<Line<'_>> {
    let (pid, rest) = text.strip_prefix("pid=")?.split_once(" role=")?;
    let (role, rest) = rest.split_once(" timestamp=\"")?;
    let (_, rest) = rest.split_once("\" level=")?;
    let (level, message) = rest.split_once(" message=\"")?;
    let role = match role {
        "sentinel" => "sentinel",
        "replica" => "replica",
        "primary" => "master",
        _ => "child",
    };
    let level = match level {
        "debug" => Level::TRACE,
        "info" => Level::DEBUG,
        "warning" => Level::WARN,
        _ => Level::INFO,
    };
    let message = message.strip_suffix('"').unwrap_or(message);
    Some(Line { pid: Some(pid.parse().ok()?), role: Some(role), level, message })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line<'a>(pid: u32, role: &'static str, level: Level, message: &'a str) -> Line<'a> {
        Line { pid: Some(pid), role: Some(role), level, message }
    }

    #[test]
    fn the_lines_of_every_server_are_understood() {
        for (text, expected) in [
            (
                "21342:M 21 Nov 2026 01:45:26.319 * Running mode=standalone, port=6379.",
                line(21342, "master", Level::INFO, "Running mode=standalone, port=6379."),
            ),
            (
                "7:C 01 Jan 2027 00:00:00.000 # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo",
                line(7, "child", Level::WARN, "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo"),
            ),
            (
                "1:X 21 Nov 2026 01:45:54.552 # +monitor master mymaster 127.9.0.1 6379 quorum 1",
                line(1, "sentinel", Level::WARN, "+monitor master mymaster 127.9.0.1 6379 quorum 1"),
            ),
            ("1:S 21 Nov 2026 01:45:54.552 - * #", line(1, "replica", Level::DEBUG, "* #")),
            ("1:S 21 Nov 2026 01:45:54.552 .", line(1, "replica", Level::TRACE, "")),
            ("9:M 2026-11-21T01:45:26.319+00:00 * Ready", line(9, "master", Level::INFO, "Ready")),
            ("9:M 1795225530366 # Low memory", line(9, "master", Level::WARN, "Low memory")),
            (
                "pid=42 role=primary timestamp=\"21 Nov 2026 01:45:26.319\" level=notice message=\"Ready 'now'\"",
                line(42, "master", Level::INFO, "Ready 'now'"),
            ),
            (
                "pid=42 role=RDB/AOF timestamp=\"1795225530366\" level=info message=\"DB saved on disk\"",
                line(42, "child", Level::DEBUG, "DB saved on disk"),
            ),
            (
                "12:signal-handler (1795225530) Received SIGTERM scheduling shutdown...",
                Line {
                    pid: Some(12),
                    role: None,
                    level: Level::WARN,
                    message: "Received SIGTERM scheduling shutdown...",
                },
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_fits_no_format_passes_whole() {
        for text in [
            "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***",
            "Reading the configuration file, at line 3",
            ">>> 'maxmemory 12x'",
            "1:Q 21 Nov 2026 01:45:26.319 * no such role",
            "99999999999:M 21 Nov 2026 01:45:26.319 * no such pid",
            "1:M 21 Nov",
            "pid=x role=primary timestamp=\"\" level=notice message=\"\"",
        ] {
            let plain = Line { pid: None, role: None, level: Level::INFO, message: text };
            assert_eq!(parse(text), plain);
        }
    }

    #[test]
    fn a_crash_report_is_an_error_from_its_first_line_to_its_last() {
        let mut log = ServerLog::default();
        let levels = [
            "1:M 21 Nov 2026 01:45:26.319 * Ready",
            "=== REDIS BUG REPORT START: Cut & paste starting from here ===",
            "1:M 21 Nov 2026 01:45:27.319 # Redis 7.0.15 crashed by signal: 11, si_code: 0",
            "------ STACK TRACE ------",
            "=== REDIS BUG REPORT END. Please report this",
            "1:M 21 Nov 2026 01:45:28.319 * Ready",
        ]
        .map(|text| log.classify(text).level);
        let (info, error) = (Level::INFO, Level::ERROR);
        assert_eq!(levels, [info, error, error, error, error, info]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,200}") {
            ServerLog::default().log(&text);
        }

        #[test]
        fn no_near_miss_is_too_odd(text in "[0-9]{0,12}:?[XCSM ]?( ?[0-9A-Za-z.:-]{0,8}){0,5} ?[-.*#]?.{0,20}") {
            ServerLog::default().log(&text);
            parse(&text);
        }

        #[test]
        fn no_message_is_changed(pid in any::<u32>(), message in "[^ \n].{0,80}") {
            let text = format!("{pid}:M 21 Nov 2026 01:45:26.319 * {message}");
            prop_assert_eq!(parse(&text), line(pid, "master", Level::INFO, &message));
        }
    }
}
