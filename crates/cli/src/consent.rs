//! Asks people whether they agree.

use std::io::{self, IsTerminal as _, Write as _};

/// Elsewhere than on a terminal nobody could answer.
pub(crate) fn can_be_asked() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whoever just ends the line, or the input, does not agree.
pub(crate) fn agreed(question: &str) -> io::Result<bool> {
    write!(io::stderr(), "{question}? [y/N] ")?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        // Nobody has ended the line.
        writeln!(io::stderr())?;
    }
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for answer in ["y\n", "Y\n", "yes\n", "Yes\n", " yes \r\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "no\n", "ye\n", "yes please\n", "j\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
