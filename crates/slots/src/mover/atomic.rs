//! Valkey's own migration: the source streams the slots to the target and hands them over in one step, so that no slot
//! is ever open (<https://valkey.io/topics/atomic-slot-migration/>).

use std::{collections::BTreeMap, time::Duration};

use redoubt_redis::{
    Connection, Error, Mismatch, Value,
    cluster::{NodeId, SlotSet},
};
use tokio::time::{Instant, sleep};

use super::{Event, Mover, Stop};
use crate::{access::Access, cluster::Node, error::SlotsError};

/// So many slots go at once: progress is seen, and what a stop throws away stays small.
const AT_ONCE: usize = 512;
/// Between two looks at a job.
const LOOK: Duration = Duration::from_millis(20);
/// A node drops what came of a migration that failed within moments.
const CLEANED_WITHIN: Duration = Duration::from_secs(10);

/// What the source says of a job.
struct Job {
    name: String,
    state: String,
    message: String,
}

impl Job {
    fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "success" | "failed" | "cancelled")
    }
}

/// Both ends of a move have to know it.
pub(super) fn is_known_to(node: &Node) -> bool {
    node.view.as_ref().is_ok_and(|view| view.version.is_some_and(|version| version.has_valkey(9, 0)))
}

/// What came of a run.
pub(super) struct Outcome {
    /// Slots that have their new owner.
    pub(super) moved: SlotSet,
    /// Why the servers have given up. What was on its way then may have moved all the same: only their refusal to open a slot
    /// that has, or a slot while they still clean up, keeps MIGRATE from bringing keys that would be dropped.
    pub(super) failed: Option<SlotsError>,
}

/// Moves these slots. When it is stopped, the job under way is cancelled: its slots stay where they are.
pub(super) async fn run(
    mover: &Mover<'_>,
    source: &Node,
    target: &Node,
    slots: &SlotSet,
    expected: &BTreeMap<u16, u64>,
    mut stop: Stop,
) -> Result<Outcome, SlotsError> {
    let mut connection = mover.access.connect(&source.endpoint).await?;
    let slots: Vec<u16> = slots.iter().collect();
    let mut outcome = Outcome { moved: SlotSet::default(), failed: None };
    for part in slots.chunks(AT_ONCE) {
        let fails = |why: String| SlotsError::Move {
            slot: part[0],
            source_node: source.endpoint.clone(),
            target: target.endpoint.clone(),
            why,
        };
        let name = match begin(&mut connection, part, &target.id).await {
            Ok(name) => name,
            Err(error @ Error::Server { .. }) => {
                outcome.failed = Some(fails(error.to_string()));
                return Ok(outcome);
            }
            Err(error) => return Err(error.into()),
        };
        let ended = tokio::select! {
            ended = end(&mut connection, &name) => Some(ended?),
            () = stop.wait() => None,
        };
        let job = match ended {
            Some(job) => job,
            // The wait that was dropped has left its connection without an answer.
            None => cancel(&mut mover.access.connect(&source.endpoint).await?, &name).await?,
        };
        if job.state == "cancelled" {
            return Ok(outcome);
        }
        if job.state != "success" {
            outcome.failed = Some(fails(format!("the migration {name} {}: {}", job.state, job.message)));
            return Ok(outcome);
        }
        outcome.moved.extend(part.iter().copied());
        let keys = part.iter().filter_map(|slot| expected.get(slot)).sum();
        (mover.report)(Event::Keys { keys, bytes: 0 });
        for slot in part {
            (mover.report)(Event::Slot { slot: *slot });
        }
        if stop.is_asked() {
            break;
        }
    }
    Ok(outcome)
}

/// Waits until no migration goes on at this node, its own cleaning up included, or for so long that it is told by the refusal
/// of what comes next.
pub(super) async fn ended(access: &Access, node: &Node) -> Result<(), SlotsError> {
    let mut connection = access.connect(&node.endpoint).await?;
    let until = Instant::now() + CLEANED_WITHIN;
    while Instant::now() < until && jobs(&mut connection).await?.iter().any(|job| !job.is_over()) {
        sleep(LOOK).await;
    }
    Ok(())
}

/// Starts a job; its name.
async fn begin(connection: &mut Connection, slots: &[u16], target: &NodeId) -> Result<String, Error> {
    let before: Vec<String> = jobs(connection).await?.into_iter().map(|job| job.name).collect();
    let mut words: Vec<String> = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"].map(str::to_owned).to_vec();
    for (first, last) in slots.iter().copied().collect::<SlotSet>().ranges() {
        words.extend([first.to_string(), last.to_string()]);
    }
    words.extend(["NODE".to_owned(), target.to_string()]);
    connection.call_as(&words, Value::into_ok).await?;
    let fresh = jobs(connection).await?.into_iter().find(|job| !before.contains(&job.name));
    fresh.map(|job| job.name).ok_or_else(|| Error::Unexpected {
        peer: connection.peer().into(),
        command: "CLUSTER GETSLOTMIGRATIONS".to_owned(),
        mismatch: Mismatch::new("the migration that was started", "none"),
    })
}

/// Waits for its end.
async fn end(connection: &mut Connection, name: &str) -> Result<Job, Error> {
    loop {
        let found = jobs(connection).await?.into_iter().find(|job| job.name == name);
        match found {
            Some(job) if job.is_over() => return Ok(job),
            Some(_) => sleep(LOOK).await,
            None => {
                let (name, state) = (name.to_owned(), "was forgotten".to_owned());
                return Ok(Job { name, state, message: "the source has restarted".to_owned() });
            }
        }
    }
}

/// Cancels it, unless it has ended by then.
async fn cancel(connection: &mut Connection, name: &str) -> Result<Job, Error> {
    match connection.call(&["CLUSTER", "CANCELSLOTMIGRATIONS"]).await {
        Ok(_) => {}
        // It has ended meanwhile: how, is seen below.
        Err(Error::Server { message, .. }) if message.contains("No migrations ongoing") => {}
        Err(error) => return Err(error),
    }
    end(connection, name).await
}

async fn jobs(connection: &mut Connection) -> Result<Vec<Job>, Error> {
    connection
        .call_as(&["CLUSTER", "GETSLOTMIGRATIONS"], |reply| {
            reply.into_array()?.into_iter().map(job).collect()
        })
        .await
}

fn job(value: Value) -> Result<Job, Mismatch> {
    let mut job = Job { name: String::new(), state: String::new(), message: String::new() };
    for (name, value) in value.into_pairs()? {
        let field = match name.as_str()? {
            "name" => &mut job.name,
            "state" => &mut job.state,
            "message" => &mut job.message,
            _ => continue,
        };
        value.as_str()?.clone_into(field);
    }
    Ok(job)
}
