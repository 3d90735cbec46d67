//! The documents of a file. YAML allows `---` at the start of a line nowhere but between documents, so a broken
//! document ends where the next one begins.

/// One document of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its text, from the `---` on if it has one.
    pub(super) text: &'a str,
    /// The file's line on which the text begins, from 1.
    pub(super) first_line: u64,
}

/// The documents of a file, without those that hold nothing but comments.
pub(super) fn documents(text: &str) -> impl Iterator<Item = Part<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut starts = vec![(0, 1)];
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index > 0 && is_marker(line) {
            starts.push((offset, index as u64 + 1));
        }
        offset += line.len();
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]).collect();
    let parts = starts.into_iter().zip(ends);
    parts
        .map(|((start, first_line), end)| Part { text: &text[start..end], first_line })
        .filter(|part| !is_blank(part.text))
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// Nothing but comments, directives and markers.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.strip_prefix("---").or_else(|| line.strip_prefix("...")).unwrap_or(line).trim();
        line.is_empty() || line.starts_with(['#', '%'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u64, &str)> {
        documents(text).map(|part| (part.first_line, part.text)).collect()
    }

    #[test]
    fn documents_begin_where_their_marker_stands() {
        assert_eq!(lines("a: 1\n---\nb: 2\n"), [(1, "a: 1\n"), (2, "---\nb: 2\n")]);
        assert_eq!(lines("---\na: 1\n--- # next\nb: 2"), [(1, "---\na: 1\n"), (3, "--- # next\nb: 2")]);
        assert_eq!(lines("\u{feff}a: 1"), [(1, "a: 1")]);
        assert_eq!(lines("a: |\n  ---\n  x\n"), [(1, "a: |\n  ---\n  x\n")]);
    }

    #[test]
    fn what_holds_nothing_is_no_document() {
        assert!(lines("").is_empty());
        assert!(lines("# a\n\n---\n# b\n---\n...\n").is_empty());
        assert_eq!(lines("%YAML 1.2\n---\na: 1\n"), [(2, "---\na: 1\n")]);
    }
}
