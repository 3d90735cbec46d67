//! A command whose arguments may be secrets.

use std::fmt;

/// One command, ready to be sent. `Debug` shows its name only.
#[derive(Clone, PartialEq, Eq)]
pub struct Call(Vec<String>);

impl Call {
    pub(crate) fn new<T: Into<String>>(arguments: impl IntoIterator<Item = T>) -> Self {
        Self(arguments.into_iter().map(Into::into).collect())
    }

    /// Name and arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} …)", self.0.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}
