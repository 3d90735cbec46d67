//! Why a command failed, and the one place that decides its exit code.

use std::{fmt, process::ExitCode};

use redoubt_api::Fault;
use redoubt_drill::DrillError;
use redoubt_local::LocalError;
use redoubt_wire::{client::AgentError, secrets::SecretsError};

/// Exit codes, as `redoubt --help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// It could not be done.
    Failed = 1,
    /// A file or the command line is at fault; nothing was changed.
    Fault = 2,
    /// No Redis, node, or state folder of this name.
    NotFound = 3,
    /// The Redis is not healthy, or did not keep a promise.
    NotHealthy = 4,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What scripts see.
    pub code: Code,
    /// What people see; none when it was said already.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What failed, where, why.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// One problem.
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, problems: vec![Problem { message: message.to_string(), hint: None }] }
    }

    /// Nothing more to say.
    pub(crate) fn silent(code: Code) -> Self {
        Self { code, problems: Vec::new() }
    }

    /// With what to do next.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        if let Some(problem) = self.problems.last_mut() {
            problem.hint = Some(hint.to_string());
        }
        self
    }

    /// Faults of files, each a problem of its own.
    pub(crate) fn faults(faults: &[Fault]) -> Self {
        let problem = |fault: &Fault| {
            let without_hint = Fault { hint: None, ..fault.clone() };
            Problem { message: without_hint.to_string(), hint: fault.hint.clone() }
        };
        Self { code: Code::Fault, problems: faults.iter().map(problem).collect() }
    }

    /// Something of this name is not there; the nearest known one is named.
    pub(crate) fn unknown(what: &str, name: &str, known: &[String]) -> Self {
        let failure = Self::new(Code::NotFound, format_args!("there is no {what} {name:?}"));
        match (nearest(name, known), known) {
            (Some(nearest), _) => failure.hint(format_args!("did you mean {nearest:?}?")),
            (None, []) => failure.hint("there is none at all yet; `redoubt up -f FILE` makes one"),
            (None, _) => failure.hint(format_args!("there is {}", known.join(", "))),
        }
    }
}

/// The known name that looks most like this one, if any does.
pub(crate) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    /// Below this, names have little more in common than their length.
    const ALIKE: f64 = 0.7;
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate.as_str()))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::Failed, error)
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        match &error {
            // The agent's own words, without the address: the command names the node.
            AgentError::Refused { error, next, .. } => Self::new(Code::Failed, error).hint(next),
            _ => Self::new(Code::Failed, &error).hint(error.next()),
        }
    }
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let code = match &error {
            LocalError::NoSuchRedis { name, known, .. } => return Self::unknown("Redis", name, known),
            LocalError::NoSuchMember { name, known } => {
                return Self::unknown("node or Sentinel", name, known);
            }
            LocalError::NoStateDir { .. } => Code::NotFound,
            LocalError::NameTaken { .. } | LocalError::SecretName { .. } | LocalError::Password { .. } => {
                Code::Fault
            }
            LocalError::NotYet { .. } => Code::NotHealthy,
            _ => Code::Failed,
        };
        Self::new(code, &error).hint(error.next())
    }
}

impl From<SecretsError> for Failure {
    fn from(error: SecretsError) -> Self {
        Self::new(Code::Fault, error)
    }
}

impl From<DrillError> for Failure {
    fn from(error: DrillError) -> Self {
        let code = match &error {
            DrillError::Unhealthy { .. } | DrillError::NoWrites { .. } => Code::NotHealthy,
            DrillError::Impossible { .. } | DrillError::OutOfReach { .. } => Code::Fault,
            DrillError::Sabotage(_) => Code::Failed,
            DrillError::Interrupted { .. } => Code::Interrupted,
        };
        Self::new(code, &error).hint(error.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest_one() {
        let known = names(&["cart", "catalogue", "sessions"]);
        for (name, near) in [("crat", Some("cart")), ("session", Some("sessions")), ("zzz", None)] {
            assert_eq!(nearest(name, &known), near, "{name}");
        }
    }

    #[test]
    fn an_unknown_name_always_comes_with_what_to_do() {
        let hint = |name: &str, known: &[&str]| {
            Failure::unknown("Redis", name, &names(known)).problems[0].hint.clone().unwrap()
        };
        assert_eq!(hint("crat", &["cart"]), "did you mean \"cart\"?");
        assert_eq!(hint("zzz", &["cart", "users"]), "there is cart, users");
        assert!(hint("cart", &[]).contains("redoubt up"));
    }
}
