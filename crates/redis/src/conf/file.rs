//! A configuration file as its lines, in their order.

use std::{fmt, str::FromStr};

use super::words::{WordsFault, join, split};

/// The lines of a redis.conf or sentinel.conf. What is not changed stays as it was written, comments included.
///
/// A directive is named by its first words: `["appendonly"]`, `["sentinel", "known-replica", "mymaster"]`. The first
/// two of them are compared without regard to case, as the servers do; a master's name is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfFile {
    lines: Vec<Line>,
}

/// A file that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ConfFault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: WordsFault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    /// None of a comment or an empty line.
    words: Vec<String>,
}

impl Line {
    fn of(words: Vec<String>) -> Self {
        Self { text: join(&words), words }
    }

    fn parse(text: &str) -> Result<Self, WordsFault> {
        let comment = text.trim_start().starts_with('#');
        let words = if comment { Vec::new() } else { split(text)? };
        Ok(Self { text: text.to_owned(), words })
    }
}

/// The words behind `name`, when a line of `words` begins with it.
fn behind<'w>(words: &'w [String], name: &[&str]) -> Option<&'w [String]> {
    let (head, rest) = words.split_at_checked(name.len())?;
    let same = |(index, (word, wanted)): (usize, (&String, &&str))| {
        if index < 2 { word.eq_ignore_ascii_case(wanted) } else { word == wanted }
    };
    (!name.is_empty() && head.iter().zip(name).enumerate().all(same)).then_some(rest)
}

impl ConfFile {
    /// The words behind a directive. Of several lines the last one counts, as for the servers.
    #[must_use]
    pub fn get(&self, name: &[&str]) -> Option<&[String]> {
        self.all(name).last()
    }

    /// The words behind each line of a directive.
    pub fn all<'f>(&'f self, name: &[&str]) -> impl Iterator<Item = &'f [String]> {
        self.lines.iter().filter_map(move |line| behind(&line.words, name))
    }

    /// The words of every line that has some.
    pub fn directives(&self) -> impl Iterator<Item = &[String]> {
        self.lines.iter().filter(|line| !line.words.is_empty()).map(|line| &line.words[..])
    }

    /// Makes this the only line of the directive: in place of its first line, or at the end.
    pub fn set(&mut self, name: &[&str], values: &[impl AsRef<str>]) {
        let line = Line::of(words(name, values));
        let place = self.lines.iter().position(|line| behind(&line.words, name).is_some());
        let Some(place) = place else { return self.lines.push(line) };
        self.lines[place] = line;
        let mut index = 0;
        self.lines.retain(|line| {
            let keep = index <= place || behind(&line.words, name).is_none();
            index += 1;
            keep
        });
    }

    /// Adds a line at the end, beside others of the directive.
    pub fn add(&mut self, name: &[&str], values: &[impl AsRef<str>]) {
        self.lines.push(Line::of(words(name, values)));
    }

    /// Removes all lines of a directive. How many there were.
    pub fn remove(&mut self, name: &[&str]) -> usize {
        self.remove_where(|words| behind(words, name).is_some())
    }

    /// Removes the directives whose words say so. How many.
    pub fn remove_where(&mut self, mut gone: impl FnMut(&[String]) -> bool) -> usize {
        let before = self.lines.len();
        self.lines.retain(|line| line.words.is_empty() || !gone(&line.words));
        before - self.lines.len()
    }

    /// Adds a comment at the end.
    pub fn comment(&mut self, text: &str) {
        self.lines.extend(text.lines().map(|line| Line { text: format!("# {line}"), words: Vec::new() }));
    }
}

fn words(name: &[&str], values: &[impl AsRef<str>]) -> Vec<String> {
    name.iter().copied().chain(values.iter().map(AsRef::as_ref)).map(str::to_owned).collect()
}

impl FromStr for ConfFile {
    type Err = ConfFault;

    fn from_str(text: &str) -> Result<Self, ConfFault> {
        let numbered = text.lines().zip(1..);
        let lines = numbered.map(|(text, line)| Line::parse(text).map_err(|fault| ConfFault { line, fault }));
        Ok(Self { lines: lines.collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for ConfFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{}", line.text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# ours\nport 6379\nsave 3600 1\nSAVE 300 100\n\nsentinel known-replica mymaster 10.0.0.2 6379\n\
        sentinel known-replica other 10.0.0.3 6379\n";

    fn file() -> ConfFile {
        TEXT.parse().unwrap()
    }

    #[test]
    fn directives_are_found_by_their_first_words() {
        let file = file();
        assert_eq!(file.get(&["port"]).unwrap(), ["6379"]);
        assert_eq!(file.get(&["save"]).unwrap(), ["300", "100"]);
        assert_eq!(file.all(&["save"]).count(), 2);
        assert_eq!(file.all(&["sentinel", "Known-Replica", "mymaster"]).count(), 1);
        assert_eq!(file.get(&["sentinel", "known-replica", "MYMASTER"]), None);
        assert_eq!(file.get(&["por"]), None);
        assert_eq!(file.get(&[]), None);
    }

    #[test]
    fn a_set_directive_has_one_line_in_the_place_of_its_first() {
        let mut file = file();
        file.set(&["save"], &["60 1"]);
        file.set(&["requirepass"], &["s 3"]);
        assert_eq!(file.remove(&["sentinel", "known-replica", "other"]), 1);
        let expected = "# ours\nport 6379\nsave \"60 1\"\n\nsentinel known-replica mymaster 10.0.0.2 6379\nrequirepass \"s 3\"\n";
        assert_eq!(file.to_string(), expected);
    }

    #[test]
    fn comments_survive_the_removal_of_everything() {
        let mut file = file();
        assert_eq!(file.remove_where(|_| true), 5);
        assert_eq!(file.to_string(), "# ours\n\n");
        assert_eq!(file.directives().count(), 0);
    }

    #[test]
    fn a_fault_names_its_line() {
        let fault = "port 1\nsave \"\nx".parse::<ConfFile>().unwrap_err();
        assert_eq!(fault.to_string(), "line 2: a quotation is not closed");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            lines in prop::collection::vec(("[a-z-]{1,10}", prop::collection::vec(any::<String>(), 0..4)), 0..8),
        ) {
            let mut file = ConfFile::default();
            for (name, values) in &lines {
                file.add(&[name], values);
            }
            prop_assert_eq!(file.to_string().parse::<ConfFile>(), Ok(file));
        }
    }
}
