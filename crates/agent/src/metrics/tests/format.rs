//! A strict reader of the Prometheus text format.

use std::collections::BTreeSet;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    /// Values are as written, escapes included.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

/// All samples of one answer.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) samples: Vec<Sample>,
    /// Name and type of each family.
    pub(super) families: Vec<(String, String)>,
}

impl Scrape {
    /// Panics where Prometheus would refuse the text: a family in two places, a sample twice or outside its family, a
    /// value that is no number.
    pub(super) fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let mut scrape = Self { samples: Vec::new(), families: Vec::new() };
        let mut seen = BTreeSet::new();
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                assert!(seen.insert(name.to_owned()), "family {name} comes twice");
                scrape.families.push((name.to_owned(), kind.to_owned()));
            } else if !line.starts_with("# HELP ") {
                let sample = Sample::read(line);
                let series = format!("{}{:?}", sample.name, sample.labels);
                assert!(seen.insert(series), "sample {line} comes twice");
                scrape.assert_in_family(&sample);
                scrape.samples.push(sample);
            }
        }
        scrape
    }

    fn assert_in_family(&self, sample: &Sample) {
        let (family, kind) = self.families.last().unwrap();
        let rest = sample.name.strip_prefix(family.as_str()).unwrap_or("?");
        let fits = match kind.as_str() {
            "counter" | "gauge" => rest.is_empty(),
            "summary" => ["", "_sum", "_count"].contains(&rest),
            other => panic!("type {other}"),
        };
        assert!(fits, "{} is not of {family}", sample.name);
    }

    /// All samples of this name.
    pub(super) fn of(&self, name: &str) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.name == name).collect()
    }

    /// The value of one sample.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let same = |sample: &&Sample| {
            sample
                .labels
                .iter()
                .map(|(label, value)| (label.as_str(), value.as_str()))
                .eq(labels.iter().copied())
        };
        self.of(name).into_iter().find(same).map(|sample| sample.value)
    }

    /// Type and label names of a family, for comparison with another scrape.
    pub(super) fn shape(&self, family: &str) -> Option<(String, BTreeSet<String>)> {
        let kind = self.families.iter().find(|(name, _)| name == family)?.1.clone();
        let labels = self.of(family).first()?.labels.iter().map(|(label, _)| label.clone()).collect();
        Some((kind, labels))
    }
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = value.parse().unwrap_or_else(|_| panic!("no number in {line}"));
        let (name, labels) = match series.split_once('{') {
            None => (series, Vec::new()),
            Some((name, labels)) => (name, read_labels(labels.strip_suffix('}').unwrap())),
        };
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        Self { name: name.to_owned(), labels, value }
    }
}

fn read_labels(mut text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (label, rest) = text.split_once("=\"").unwrap();
        let end = closing_quote(rest);
        labels.push((label.to_owned(), rest[..end].to_owned()));
        text = &rest[end + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
    labels
}

fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    panic!("no closing quote in {text}");
}
