//! From the text of a file to resources, and to faults that name file, line, column and field.

mod nearest;
mod reader;
mod split;
mod tree;

use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use nearest::nearest;
pub(crate) use tree::Positions;

use crate::{
    API_VERSION, Fault, Finding, KIND, Place, Redis, Secret,
    failover::{FAILOVER_API_VERSION, FAILOVER_KIND, RedisFailover},
    schema,
    schema::{failover_schema, secret_schema},
};
use tree::{Key, Node, Tree};

/// A resource and where each of its fields stands.
#[derive(Debug, Clone)]
pub struct Document {
    /// The resource.
    pub resource: Resource,
    origin: Origin,
}

/// The kinds of resource a file may hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Resource {
    /// A Redis.
    Redis(Box<Redis>),
    /// What the spotahome operator and its forks run.
    RedisFailover(Box<RedisFailover>),
    /// A Secret, for a Redis of the same namespace to refer to.
    Secret(Box<Secret>),
}

/// Where a document stands.
#[derive(Debug, Clone)]
struct Origin {
    file: String,
    positions: Positions,
}

impl Origin {
    fn of(root: &Node, file: &str) -> Self {
        Self { file: file.to_owned(), positions: Positions::new(root) }
    }

    fn locate(&self, finding: Finding) -> Finding {
        let (line, column) = self.positions.of(&finding.path);
        finding.placed(Place { file: self.file.clone(), line, column })
    }

    fn repeated(&self, key: &Key) -> Fault {
        let (line, column) = key.at;
        let fault = Finding::at(self.positions.repeated(key), "is there twice").hint("remove one of them");
        fault.placed(Place { file: self.file.clone(), line, column })
    }
}

impl Document {
    /// The same finding, with file, line and column of its field (or of the nearest field around it).
    #[must_use]
    pub fn locate(&self, finding: Finding) -> Finding {
        self.origin.locate(finding)
    }
}

/// Reads every document of a file, and every item of a `List` as `kubectl get -o yaml` prints it. Each is judged for
/// itself: a malformed one never hides the others. Empty documents are passed over.
#[must_use]
pub fn parse(text: &str, file: &str) -> Vec<Result<Document, Vec<Fault>>> {
    split::documents(text).flat_map(|part| documents(&part, file)).collect()
}

fn documents(part: &split::Part<'_>, file: &str) -> Vec<Result<Document, Vec<Fault>>> {
    let Tree { root, repeated } = match tree::read(part.text, part.first_line) {
        Ok(Some(tree)) => tree,
        Ok(None) => return Vec::new(),
        Err(fault) => return vec![Err(vec![fault.placed_in(file)])],
    };
    let faults: Vec<Fault> = repeated.map(|key| Origin::of(&root, file).repeated(&key)).into_iter().collect();
    let Some(items) = root.items() else { return vec![document(&root, faults, file)] };
    let of_list = (!faults.is_empty()).then_some(Err(faults));
    of_list.into_iter().chain(items.iter().map(|item| document(item, Vec::new(), file))).collect()
}

/// Faults that were found before count as well.
fn document(root: &Node, mut faults: Vec<Fault>, file: &str) -> Result<Document, Vec<Fault>> {
    let origin = Origin::of(root, file);
    let resource = match kind_of(root) {
        Ok(Kind::Redis) => redis(root).map(|redis| Resource::Redis(Box::new(redis))),
        Ok(Kind::RedisFailover) => typed(&FAILOVER_SCHEMA, root)
            .into_result()
            .map(|failover| Resource::RedisFailover(Box::new(failover))),
        Ok(Kind::Secret) => {
            typed(&SECRET_SCHEMA, root).into_result().map(|secret| Resource::Secret(Box::new(secret)))
        }
        Err(fault) => Err(vec![fault]),
    };
    match resource {
        Ok(resource) if faults.is_empty() => Ok(Document { resource, origin }),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more.into_iter().map(|fault| origin.locate(fault)));
            Err(faults)
        }
    }
}

static REDIS_SCHEMA: LazyLock<Value> = LazyLock::new(schema);
static FAILOVER_SCHEMA: LazyLock<Value> = LazyLock::new(failover_schema);
static SECRET_SCHEMA: LazyLock<Value> = LazyLock::new(secret_schema);

/// What could be read of a document, and what is wrong with the rest.
struct Reading<T> {
    value: Option<T>,
    faults: Vec<Fault>,
}

impl<T> Reading<T> {
    fn into_result(self) -> Result<T, Vec<Fault>> {
        match self.value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(self.faults),
        }
    }
}

/// A document with faults is checked all the same, without what is at fault, so that people see everything at once.
fn redis(node: &Node) -> Result<Redis, Vec<Fault>> {
    let Reading { value, mut faults } = typed::<Redis>(&REDIS_SCHEMA, node);
    if let (Some(redis), false) = (&value, faults.is_empty()) {
        let unread: Vec<String> = faults.iter().map(|fault| fault.path.clone()).collect();
        let more = crate::check(redis).err().unwrap_or_default();
        faults.extend(more.into_iter().filter(|fault| !follows(&fault.path, &unread)));
    }
    Reading { value, faults }.into_result()
}

/// Fields that are judged by the value of another one.
const JUDGED_BY: [(&str, &str); 6] = [
    ("spec.replicas", "spec.mode"),
    ("spec.sentinel.quorum", "spec.sentinel.replicas"),
    ("spec.durability.minReplicasToWrite", "spec.replicas"),
    ("spec.durability.maxReplicaLag", "spec.sentinel.downAfter"),
    ("spec.durability.hangLimit", "spec.sentinel.downAfter"),
    ("spec.auth.secretName", "spec.auth.enabled"),
];

/// The fault is due to the default that stood in for a field that could not be read.
fn follows(path: &str, unread: &[String]) -> bool {
    JUDGED_BY.iter().any(|(field, other)| *field == path && unread.iter().any(|path| path == other))
}

fn typed<T: DeserializeOwned>(schema: &Value, node: &Node) -> Reading<T> {
    let (json, mut faults) = reader::read(schema, node);
    match serde_json::from_value(json) {
        Ok(value) => Reading { value: Some(value), faults },
        Err(error) => {
            if faults.is_empty() {
                faults.push(Finding::at("", error.to_string()));
            }
            Reading { value: None, faults }
        }
    }
}

enum Kind {
    Redis,
    RedisFailover,
    Secret,
}

/// The kinds that are read.
const KINDS: [(&str, &str); 3] =
    [(API_VERSION, KIND), (FAILOVER_API_VERSION, FAILOVER_KIND), ("v1", "Secret")];

fn kind_of(node: &Node) -> Result<Kind, Fault> {
    let known =
        || format!("a file may hold {}", KINDS.map(|(api, kind)| format!("{kind} ({api})")).join(", "));
    if !node.is_map() {
        return Err(Finding::at("", "this document is not a resource").hint(known()));
    }
    let (api, kind) = (node.text("apiVersion"), node.text("kind"));
    match (api, kind) {
        (Some(API_VERSION), Some(KIND)) => Ok(Kind::Redis),
        (Some(FAILOVER_API_VERSION), Some(FAILOVER_KIND)) => Ok(Kind::RedisFailover),
        (Some("v1"), Some("Secret")) => Ok(Kind::Secret),
        (_, None) => Err(Finding::at("kind", "is missing").hint(format!("write kind: {KIND}"))),
        (_, Some(kind)) => Err(wrong_kind(api, kind, &known())),
    }
}

/// The kind is none we read, or has another version.
fn wrong_kind(api: Option<&str>, kind: &str, known: &str) -> Fault {
    let expected = KINDS.iter().find(|(_, name)| *name == kind).map(|(api, _)| *api);
    match (expected, api) {
        (Some(wanted), None) => {
            Finding::at("apiVersion", "is missing").hint(format!("write apiVersion: {wanted}"))
        }
        (Some(wanted), Some(api)) => {
            Finding::at("apiVersion", format!("{api:?} is not a version of {kind} that is known"))
                .hint(format!("write apiVersion: {wanted}"))
        }
        (None, Some(api)) if !api.starts_with("redoubt.dev/") => {
            Finding::at("kind", format!("{kind} ({api}) is not a kind that is known")).hint(known)
        }
        (None, _) => {
            let near = nearest(kind, KINDS.iter().map(|(_, name)| *name));
            let hint = near.map_or_else(|| known.to_owned(), |name| format!("did you mean {name}?"));
            Finding::at("kind", format!("{kind:?} is not a kind that is known")).hint(hint)
        }
    }
}
