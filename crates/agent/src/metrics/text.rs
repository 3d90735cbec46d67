//! Writing the Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// An answer that is being written.
#[derive(Debug)]
pub(super) struct Text(String);

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until the server restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Quantiles, a sum and a count.
    Summary,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => " counter\n",
            Self::Gauge => " gauge\n",
            Self::Summary => " summary\n",
        }
    }
}

impl Text {
    pub(super) fn with_room(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    /// Begins a family: all its samples follow, and nothing else between them.
    pub(super) fn family(&mut self, name: &str, kind: Kind) {
        self.push(&["# TYPE ", name, kind.word()]);
    }

    /// Begins a family that needs explaining.
    pub(super) fn explained(&mut self, name: &str, kind: Kind, help: &str) {
        self.push(&["# HELP ", name, " ", help, "\n"]);
        self.family(name, kind);
    }

    /// A sample whose value is text that has been checked to be a number.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.head(name, labels);
        self.push(&[" ", value, "\n"]);
    }

    /// A sample with a value of our own.
    pub(super) fn measured(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.head(name, labels);
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, " {value}");
    }

    /// A family of one gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, value: impl Display) {
        self.family(name, Kind::Gauge);
        self.measured(name, &[], value);
    }

    fn head(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.0.push_str(name);
        let mut before = "{";
        for (label, value) in labels {
            self.push(&[before, label, "=\""]);
            self.escaped(value);
            self.0.push('"');
            before = ",";
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
    }

    fn escaped(&mut self, value: &str) {
        if !value.contains(['\\', '"', '\n']) {
            return self.0.push_str(value);
        }
        for c in value.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                c => self.0.push(c),
            }
        }
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.0.push_str(part);
        }
    }
}

/// Text that Prometheus reads as a number: what servers write, with an exponent or `inf` and `nan` too.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) && text.parse::<f64>().is_ok()
}

/// Microseconds as seconds, exactly.
pub(super) fn seconds(microseconds: u64) -> impl Display {
    struct Seconds(u64);
    impl Display for Seconds {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
            if rest == 0 { write!(f, "{whole}") } else { write!(f, "{whole}.{rest:06}") }
        }
    }
    Seconds(microseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_reads_it() {
        let mut text = Text::with_room(0);
        text.explained("a_total", Kind::Counter, "Things.");
        text.sample("a_total", &[("cmd", "get"), ("os", "a \"b\" \\ c\nd")], "1.5");
        text.gauge("b", 7);
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\n\
                        a_total{cmd=\"get\",os=\"a \\\"b\\\" \\\\ c\\nd\"} 1.5\n# TYPE b gauge\nb 7\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn seconds_keep_every_microsecond() {
        for (us, text) in [(0, "0"), (1, "0.000001"), (1_500_000, "1.500000"), (3_000_000, "3")] {
            assert_eq!(seconds(us).to_string(), text);
        }
    }

    #[test]
    fn only_numbers_are_numbers() {
        for number in ["0", "-1", "1.5", "1e-06", "inf", "nan"] {
            assert!(is_number(number), "{number}");
        }
        for other in ["", "ok", "1 2", "1.16M", "0x10", "1,5"] {
            assert!(!is_number(other), "{other}");
        }
    }
}
