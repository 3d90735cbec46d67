//! What is wrong (or doubtful) in a resource, and where.

use std::fmt;

use serde::Serialize;

/// Something that keeps a resource from being accepted.
pub type Fault = Finding;
/// Something that is accepted and deserves a second look.
pub type Warning = Finding;

/// What was found, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Where in which file; absent when the resource did not come from a file.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Path of the field, as `spec.sentinel.quorum`; empty when it is about the document.
    pub path: String,
    /// What is so, and why that is a fault.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file's name, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl Finding {
    /// About this field.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: None, path: path.into(), message: message.into(), hint: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// At this place, unless it has one.
    #[must_use]
    pub fn placed(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, column }) = &self.place {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Finding {}
