//! All the files of a command, judged together.

use std::collections::BTreeMap;

use crate::{
    CheckedRedis, CheckedSecret, Document, Fault, Finding, Key, Redis, Resource, Warning, check,
    check_secret,
    failover::{FAILOVER_KIND, Surroundings, Translation, translate},
    parse,
};

/// A file's content and its name for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Name for messages.
    pub file: &'a str,
    /// Content.
    pub text: &'a str,
}

/// A resource that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// As it was written.
    pub redis: Redis,
    /// Checked, with defaults.
    pub checked: CheckedRedis,
}

/// What a set of files says.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The accepted resources, in the order of the files.
    pub accepted: Vec<Accepted>,
    /// What the accepted `RedisFailover` amount to; what of them is not honoured is among the warnings.
    pub failovers: Vec<Translation>,
    /// The Secrets beside them.
    pub secrets: Vec<CheckedSecret>,
    /// What is accepted and deserves a second look.
    pub warnings: Vec<Warning>,
    /// What was refused.
    pub faults: Vec<Fault>,
}

/// What becomes of a `RedisFailover`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failovers {
    Refused,
    Translated,
}

/// Parses and checks every document of these files. A malformed one never hides the others. A `RedisFailover` is refused
/// with what to do: nothing here runs it.
#[must_use]
pub fn read(sources: &[Source<'_>]) -> Batch {
    judge(sources, Failovers::Refused)
}

/// The same, with what each `RedisFailover` amounts to.
#[must_use]
pub fn read_with_failovers(sources: &[Source<'_>]) -> Batch {
    judge(sources, Failovers::Translated)
}

fn judge(sources: &[Source<'_>], failovers: Failovers) -> Batch {
    let mut batch = Batch::default();
    let mut documents = Vec::new();
    for source in sources {
        for result in parse(source.text, source.file) {
            match result {
                Ok(document) => documents.push(document),
                Err(faults) => batch.faults.extend(faults),
            }
        }
    }
    let repeated: BTreeMap<usize, Fault> = duplicates(&documents).into_iter().collect();
    for (index, document) in documents.iter().enumerate() {
        match repeated.get(&index) {
            Some(fault) => batch.faults.push(document.locate(fault.clone())),
            None => batch.add(document, failovers),
        }
    }
    let file_at = |finding: &Finding| {
        let place = finding.place.as_ref()?;
        let file = sources.iter().position(|source| source.file == place.file);
        Some((file, place.line, place.column))
    };
    batch.faults.sort_by_key(file_at);
    batch.warnings.sort_by_key(file_at);
    batch
}

impl Batch {
    fn add(&mut self, document: &Document, failovers: Failovers) {
        match &document.resource {
            Resource::Redis(redis) => match check(redis) {
                Ok((checked, warnings)) => {
                    self.warnings.extend(warnings.into_iter().map(|warning| document.locate(warning)));
                    self.accepted.push(Accepted { redis: (**redis).clone(), checked });
                }
                Err(faults) => self.faults.extend(faults.into_iter().map(|fault| document.locate(fault))),
            },
            Resource::RedisFailover(_) if failovers == Failovers::Refused => {
                let message = format!("a {FAILOVER_KIND} does not run here");
                let fault = Finding::at("kind", message)
                    .hint("make a Redis of it: redoubt convert -f redisfailover.yaml > redis.yaml");
                self.faults.push(document.locate(fault));
            }
            Resource::RedisFailover(failover) => match translate(failover, Surroundings::default()) {
                Ok(translation) => {
                    let findings = translation.not_honoured.iter().chain(&translation.warnings);
                    self.warnings.extend(findings.map(|finding| document.locate(finding.clone())));
                    self.failovers.push(translation);
                }
                Err(faults) => self.faults.extend(faults.into_iter().map(|fault| document.locate(fault))),
            },
            Resource::Secret(secret) => match check_secret(secret) {
                Ok(checked) => self.secrets.push(checked),
                Err(faults) => self.faults.extend(faults.into_iter().map(|fault| document.locate(fault))),
            },
        }
    }
}

/// Faults of documents that name a resource which an earlier document names already, each with the document's index.
#[must_use]
pub fn duplicates(documents: &[Document]) -> Vec<(usize, Fault)> {
    let mut seen = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let (kind, key) = match &document.resource {
            Resource::Redis(redis) => ("Redis", redis.metadata.key()),
            Resource::RedisFailover(failover) => (FAILOVER_KIND, failover.metadata.key()),
            Resource::Secret(secret) => ("Secret", secret.metadata.key()),
        };
        let first = *seen.entry((kind, key.clone())).or_insert(index);
        if first != index {
            let place = documents[first].locate(Finding::at("metadata.name", "")).place;
            let place = place.map_or_else(String::new, |place| format!(" at {}:{}", place.file, place.line));
            let Key { namespace, name, .. } = key;
            let message = format!("there is a {kind} {name:?} in namespace {namespace:?} already{place}");
            faults.push((index, Finding::at("metadata.name", message).hint("give one of them another name")));
        }
    }
    faults
}
