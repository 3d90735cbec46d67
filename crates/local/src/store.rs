//! What was applied: a file per resource. This platform's "API server".

mod watch;

use std::{fs::File, path::Path};

use redoubt_api::{CheckedRedis, Fault, Finding, Metadata, Redis, Resource, check, check_change, parse};
use rustix::fs::{FlockOperation, flock};

use crate::{
    error::{LocalError, io_error},
    files,
    names::is_object_name,
    paths::{RESOURCE_ENDING, StateDir},
};

pub(crate) use watch::{Changes, StoreChange};

/// The resources that were applied.
#[derive(Debug, Clone)]
pub struct Store {
    state: StateDir,
}

/// What applying a resource came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is new.
    Created,
    /// It was there and has changed.
    Configured,
    /// It was there as it is.
    Unchanged,
}

/// A resource as its file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// As it was applied.
    pub redis: Redis,
    /// Checked, with defaults.
    pub checked: CheckedRedis,
}

impl Store {
    /// The resources of this folder.
    #[must_use]
    pub fn new(state: StateDir) -> Self {
        Self { state }
    }

    /// Keeps a resource. Its generation grows when the spec is another one.
    pub fn apply(&self, redis: &Redis) -> Result<Applied, LocalError> {
        let name = &redis.metadata.name;
        let _one_at_a_time = self.lock()?;
        let before = self.get(name)?;
        if let Some(before) = before.as_ref().filter(|before| before.metadata.key() != redis.metadata.key()) {
            let namespace = before.metadata.key().namespace;
            return Err(LocalError::NameTaken { name: name.clone(), namespace });
        }
        may_become(before.as_ref(), redis)?;
        let next = successor(redis, before.as_ref());
        let path = self.state.resource(name);
        let text = next
            .to_yaml()
            .map_err(|error| LocalError::Malformed { path: path.clone(), why: error.to_string() })?;
        Ok(match (files::write_changed(&path, text.as_bytes())?, before) {
            (false, _) => Applied::Unchanged,
            (true, None) => Applied::Created,
            (true, Some(_)) => Applied::Configured,
        })
    }

    /// Forgets a resource. Says whether it was there.
    pub fn delete(&self, name: &str) -> Result<bool, LocalError> {
        let _one_at_a_time = self.lock()?;
        let path = self.state.resource(name);
        let there = path.exists();
        files::remove(&path).map(|()| there)
    }

    /// The resource of this name as it was applied. One whose file was broken by hand is none.
    pub fn get(&self, name: &str) -> Result<Option<Redis>, LocalError> {
        Ok(self.read(name)?.and_then(Result::ok).map(|stored| stored.redis))
    }

    /// The resource of this name and what is wrong with it, if something is; `None` when there is none.
    pub fn read(&self, name: &str) -> Result<Option<Result<Stored, Vec<Fault>>>, LocalError> {
        if !is_object_name(name) {
            return Ok(None);
        }
        let path = self.state.resource(name);
        let Some(content) = files::read(&path)? else { return Ok(None) };
        Ok(Some(understand(name, &path, &content)))
    }

    /// Names of all resources, in order, also of those whose file is broken.
    pub fn names(&self) -> Result<Vec<String>, LocalError> {
        let dir = self.state.resources();
        let entries = std::fs::read_dir(&dir).map_err(io_error("list", &dir))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.file_stem()?.to_str()?.to_owned();
                let ours = path.extension().is_some_and(|ending| ending == RESOURCE_ENDING);
                (ours && is_object_name(&name)).then_some(name)
            })
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Two commands at a time must not count one generation twice.
    fn lock(&self) -> Result<File, LocalError> {
        let dir = self.state.resources();
        let file = File::open(&dir).map_err(io_error("open", &dir))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| io_error("lock", &dir)(error.into()))?;
        Ok(file)
    }
}

/// A change that a set cannot follow is refused before anything is written. One that is at fault is judged elsewhere.
fn may_become(before: Option<&Redis>, after: &Redis) -> Result<(), LocalError> {
    let (Some(Ok((before, _))), Ok((after, _))) = (before.map(check), check(after)) else { return Ok(()) };
    check_change(&before, &after).map_err(|faults| LocalError::Unchangeable {
        name: after.key.name.clone(),
        faults: faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    })
}

/// The resource with what the platform writes: its generation.
fn successor(redis: &Redis, before: Option<&Redis>) -> Redis {
    let generation = match before {
        None => 1,
        Some(before) => {
            let last = before.metadata.generation.unwrap_or(1);
            if before.spec == redis.spec { last } else { last.saturating_add(1) }
        }
    };
    Redis {
        metadata: Metadata { generation: Some(generation), ..redis.metadata.clone() },
        status: None,
        ..redis.clone()
    }
}

fn understand(name: &str, path: &Path, content: &[u8]) -> Result<Stored, Vec<Fault>> {
    let file = path.to_string_lossy();
    let fault = |message: &str, hint: String| vec![Finding::at("", message).hint(hint)];
    let text = std::str::from_utf8(content)
        .map_err(|_| fault(&format!("{file} is not UTF-8"), "apply the resource again".to_owned()))?;
    let mut documents = parse(text, &file);
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        let hint = "apply resources with `redoubt apply -f FILE`".to_owned();
        return Err(fault(&format!("{file} does not hold exactly one resource"), hint));
    };
    let document = document?;
    let locate =
        |faults: Vec<Fault>| faults.into_iter().map(|fault| document.locate(fault)).collect::<Vec<_>>();
    let Resource::Redis(redis) = &document.resource else {
        let hint = "apply it with `redoubt apply -f FILE`".to_owned();
        return Err(fault(&format!("{file} does not hold a Redis"), hint));
    };
    if redis.metadata.name != name {
        let message = format!("is {:?} in a file named after {name:?}", redis.metadata.name);
        return Err(locate(vec![Finding::at("metadata.name", message).hint("rename the file")]));
    }
    let (checked, _) = check(redis).map_err(locate)?;
    Ok(Stored { redis: (**redis).clone(), checked })
}

#[cfg(test)]
mod tests;
