//! The boot rules as one pure function.

use std::{cmp::Ordering, iter, time::Duration};

use redoubt_redis::Endpoint;
use redoubt_wire::{
    config::SetConfig,
    state::{NodeState, OnDisk, Phase, Record, Replication},
};

/// What one Sentinel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SentinelAnswer {
    /// It names this master, at this config epoch.
    Names(Endpoint, u64),
    /// It has never been told of a master.
    Blank,
    /// Nobody answers there.
    Unreachable,
}

/// What the agent of another node says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PeerAnswer {
    /// The node.
    pub(crate) name: String,
    /// Its state; `None` when nobody answers there.
    pub(crate) state: Option<NodeState>,
}

/// All that is known before a start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Survey {
    /// This node.
    pub(crate) me: String,
    /// What this node's own files hold.
    pub(crate) own: OnDisk,
    /// One answer per Sentinel of the configuration.
    pub(crate) sentinels: Vec<SentinelAnswer>,
    /// One answer per other node of the configuration.
    pub(crate) peers: Vec<PeerAnswer>,
    /// How long this node has been waiting already.
    pub(crate) waited: Duration,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start as a replica of this master, or of the Redis outside of the set from which it is filled.
    Follow(Endpoint),
    /// Start as master.
    Lead {
        /// A data set begins here: nobody ever had data, or what there is was copied from outside of the set.
        new_data_set: bool,
        /// For the log and the event.
        why: String,
    },
    /// A vote is needed first.
    Elect(Election),
    /// Not now.
    Wait {
        /// For the log and the status.
        why: String,
        /// When it goes on regardless, counted from the first survey.
        until: Option<Duration>,
    },
}

/// A vote that this node asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Election {
    /// This node is still named, but living replicas hold the data: one of them is to lead.
    AwayFromMe,
    /// After a total outage this node holds the most advanced data, and another is named.
    ForMe {
        /// The master that the Sentinels name, dead or without its data.
        named: Endpoint,
    },
}

/// Decides what this node does now. Asked again and again with fresh surveys until it says something else than
/// [`Decision::Wait`].
pub(crate) fn decide(set: &SetConfig, survey: &Survey) -> Decision {
    if set.sentinel().is_none() {
        return Decision::Lead {
            new_data_set: survey.own.record().is_none(),
            why: "the only node of a standalone set".to_owned(),
        };
    }
    let Some(me) = set.node(&survey.me) else {
        return wait(format!("{} is not part of the configuration", survey.me));
    };
    let facts = Facts::new(set, survey);
    if let Some(outside) = set.bootstrap.as_ref().filter(|_| facts.is_unled()) {
        return Decision::Follow(outside.clone());
    }
    match facts.living_master() {
        Ok(Some(master)) => return Decision::Follow(master),
        Ok(None) => {}
        Err(why) => return wait(why),
    }
    if let Some((name, outside)) = facts.still_filled() {
        return wait(format!(
            "{name} still follows {outside}, which is no node of the set; how far its data goes is known once it has let go"
        ));
    }
    if facts.living_replicas() {
        return match facts.named {
            Some(named) if *named == me.server => Decision::Elect(Election::AwayFromMe),
            Some(named) => wait(format!(
                "the Sentinels name {named}, which does not serve; its replicas are alive and one of them will lead"
            )),
            None => wait("replicas are alive, but no Sentinel majority says whom to follow".to_owned()),
        };
    }
    after_outage(set, survey, &facts, &me.server)
}

fn wait(why: String) -> Decision {
    Decision::Wait { why, until: None }
}

/// No server of the set is alive.
fn after_outage(set: &SetConfig, survey: &Survey, facts: &Facts<'_>, me: &Endpoint) -> Decision {
    if let (Some(own), Some(named)) = (survey.own.record(), facts.named)
        && own.master
        && named == me
        && own.epoch >= facts.named_epoch
        && facts.records().all(|(_, record)| record.epoch <= own.epoch)
    {
        return Decision::Lead {
            new_data_set: false,
            why: format!("last master of epoch {}, back with its data, and still named", own.epoch),
        };
    }
    let deadline = set.durability.recovery_deadline_ms.map(Duration::from_millis);
    let overdue = deadline.is_some_and(|deadline| survey.waited >= deadline);
    let absent = facts.absent();
    if !absent.is_empty() && !overdue {
        return Decision::Wait { why: facts.missing(&absent), until: deadline };
    }
    if facts.silent_sentinels() && !overdue {
        return Decision::Wait {
            why: "too few Sentinels answer to say who led before".to_owned(),
            until: deadline,
        };
    }
    let present = survey.peers.len() + 1 - absent.len();
    if present * 2 <= set.nodes.len() {
        return wait(format!(
            "only {present} of {} nodes answer; the records of a majority are needed to know who is most advanced",
            set.nodes.len()
        ));
    }
    match facts.most_advanced() {
        Err(why) => wait(why),
        Ok(None) if !absent.is_empty() => {
            wait(format!("no node present has data, and {} does not answer", absent.join(", ")))
        }
        Ok(None) => first_start(set, survey, facts, me),
        Ok(Some(best)) if best != survey.me => {
            wait(format!("{best} holds the most advanced data and will lead"))
        }
        Ok(Some(_)) => lead_with_data(survey, facts, me),
    }
}

/// This node is the most advanced of those present.
fn lead_with_data(survey: &Survey, facts: &Facts<'_>, me: &Endpoint) -> Decision {
    let why = "most advanced data of all nodes present".to_owned();
    match facts.named {
        Some(named) if named != me => Decision::Elect(Election::ForMe { named: named.clone() }),
        None if facts.any_name() => {
            wait("the Sentinels do not agree on a master, so there can be no vote yet".to_owned())
        }
        Some(_) | None => {
            let new_data_set = survey.own.record().is_some_and(Record::is_copied);
            Decision::Lead { new_data_set, why }
        }
    }
}

/// All nodes answered and none has data.
fn first_start(set: &SetConfig, survey: &Survey, facts: &Facts<'_>, me: &Endpoint) -> Decision {
    let unfinished = facts.unfinished().join(" and ");
    if !unfinished.is_empty() {
        return wait(format!(
            "{unfinished} began to copy a data set that no node has any more; bring its files back, or empty the data folder of {unfinished} to begin anew"
        ));
    }
    let leader = facts.named.or_else(|| set.nodes.first().map(|node| &node.server));
    match leader {
        Some(leader) if leader == me => Decision::Lead {
            new_data_set: true,
            why: format!("all {} nodes answered and none has data", set.nodes.len()),
        },
        Some(leader) => wait(format!("no node has data; {leader} will lead")),
        None => wait(format!("{} has no nodes", survey.me)),
    }
}

/// A survey, read.
struct Facts<'a> {
    set: &'a SetConfig,
    survey: &'a Survey,
    /// Whom a majority of all Sentinels names.
    named: Option<&'a Endpoint>,
    /// The highest epoch at which it is named.
    named_epoch: u64,
}

impl<'a> Facts<'a> {
    fn new(set: &'a SetConfig, survey: &'a Survey) -> Self {
        let said: Vec<_> = survey
            .sentinels
            .iter()
            .filter_map(|answer| match answer {
                SentinelAnswer::Names(master, epoch) => Some((master, *epoch)),
                SentinelAnswer::Blank | SentinelAnswer::Unreachable => None,
            })
            .collect();
        let named = said.iter().map(|(master, _)| *master).find(|master| {
            said.iter().filter(|(other, _)| other == master).count() * 2 > survey.sentinels.len()
        });
        let named_epoch = said
            .iter()
            .filter(|(master, _)| Some(*master) == named)
            .map(|(_, epoch)| *epoch)
            .max()
            .unwrap_or_default();
        Self { set, survey, named, named_epoch }
    }

    fn any_name(&self) -> bool {
        self.survey.sentinels.iter().any(|answer| matches!(answer, SentinelAnswer::Names(..)))
    }

    /// Fewer Sentinels than a majority could be asked.
    fn silent_sentinels(&self) -> bool {
        let answered = self
            .survey
            .sentinels
            .iter()
            .filter(|answer| !matches!(answer, SentinelAnswer::Unreachable))
            .count();
        answered * 2 <= self.survey.sentinels.len()
    }

    /// The states of the other nodes whose servers answer.
    fn living(&self) -> impl Iterator<Item = (&'a PeerAnswer, &'a Replication)> {
        self.survey.peers.iter().filter_map(|peer| {
            let state = peer.state.as_ref()?;
            (state.phase == Phase::Running).then_some(())?;
            Some((peer, state.replication.as_ref()?))
        })
    }

    /// The master that serves now. Two of them are told apart by the Sentinels alone.
    fn living_master(&self) -> Result<Option<Endpoint>, String> {
        let masters: Vec<_> = self
            .living()
            .filter(|(_, replication)| matches!(replication, Replication::Master { .. }))
            .filter_map(|(peer, _)| self.set.node(&peer.name).map(|node| &node.server))
            .collect();
        match (self.named, masters.as_slice()) {
            (Some(named), masters) if masters.contains(&named) => Ok(Some(named.clone())),
            // A master that nobody has announced yet, or no longer: its agents and the Sentinels settle that first.
            (Some(_), _) | (None, []) => Ok(None),
            (None, [master]) => Ok(Some((*master).clone())),
            (None, _) => {
                Err("two nodes say they are master and no Sentinel majority names one of them".to_owned())
            }
        }
    }

    /// The set never had a master of its own, as far as anybody says: what is here was copied from outside of it.
    fn is_unled(&self) -> bool {
        let leads = |replication: &Replication| matches!(replication, Replication::Master { .. });
        !self.any_name()
            && !self.living().any(|(_, replication)| leads(replication))
            && self.records().all(|(_, record)| record.is_copied())
    }

    /// A node with a whole copy that still follows somebody outside of the set, and whom: its data grows, until it lets
    /// go. One without is no candidate.
    fn still_filled(&self) -> Option<(&'a str, &'a Endpoint)> {
        self.living().find_map(|(peer, replication)| match replication {
            Replication::Replica { master, .. } if self.set.node_at(master).is_none() => {
                let record = peer.state.as_ref()?.on_disk.record()?;
                record.is_copied().then_some((peer.name.as_str(), master))
            }
            Replication::Replica { .. } | Replication::Master { .. } => None,
        })
    }

    /// Living copies of the data. A server that came back and was never in sync holds what its files held: its
    /// record speaks for it.
    fn living_replicas(&self) -> bool {
        self.living().any(|(peer, _)| peer.state.as_ref().is_some_and(|state| state.joined))
    }

    /// Nodes of which nobody knows what they hold: out of reach, or with files that are not read yet, or cannot be.
    fn absent(&self) -> Vec<String> {
        let unknown =
            |peer: &&PeerAnswer| peer.state.as_ref().is_none_or(|state| state.on_disk == OnDisk::Unknown);
        self.survey.peers.iter().filter(unknown).map(|peer| peer.name.clone()).collect()
    }

    /// Why absent nodes are waited for.
    fn missing(&self, absent: &[String]) -> String {
        let (names, verb) = (absent.join(", "), if absent.len() == 1 { "does" } else { "do" });
        if self.records().next().is_some() {
            format!("{names} may hold newer data and {verb} not tell")
        } else {
            format!(
                "{names} {verb} not tell what is on disk, and nobody leads before it is known who has data"
            )
        }
    }

    fn records(&self) -> impl Iterator<Item = (&'a str, &'a Record)> {
        self.on_disk().filter_map(|(name, on_disk)| Some((name, on_disk.record()?)))
    }

    /// What the files of every node hold that answers.
    fn on_disk(&self) -> impl Iterator<Item = (&'a str, &'a OnDisk)> {
        let others = self
            .survey
            .peers
            .iter()
            .filter_map(|peer| Some((peer.name.as_str(), &peer.state.as_ref()?.on_disk)));
        iter::once((self.survey.me.as_str(), &self.survey.own)).chain(others)
    }

    /// Nodes that began to copy a data set, and never had it.
    fn unfinished(&self) -> Vec<&'a str> {
        self.on_disk()
            .filter(|(_, on_disk)| **on_disk == OnDisk::UnfinishedCopy)
            .map(|(name, _)| name)
            .collect()
    }

    /// The node with the most advanced data among those present; `None` when nobody has any.
    fn most_advanced(&self) -> Result<Option<&'a str>, String> {
        let mut best: Option<(&str, &Record)> = None;
        for (name, record) in self.records() {
            let Some((champion, held)) = best else {
                best = Some((name, record));
                continue;
            };
            match compare(record, held) {
                None => {
                    return Err(format!("the data of {name} and {champion} cannot be compared; {ADVICE}"));
                }
                Some(Ordering::Greater) => best = Some((name, record)),
                // Equal data: the lower ordinal, so that every agent comes to the same result.
                Some(Ordering::Equal) if self.ordinal(name) < self.ordinal(champion) => {
                    best = Some((name, record));
                }
                Some(_) => {}
            }
        }
        Ok(best.map(|(name, _)| name))
    }

    fn ordinal(&self, name: &str) -> usize {
        self.set.nodes.iter().position(|node| node.name == name).unwrap_or(usize::MAX)
    }
}

const ADVICE: &str = "look at both, then empty the data folder of the one to give up";

/// Which of two records is ahead; `None` when nobody can say.
///
/// What was copied from outside of the set is behind whatever went on from it inside. Else the data set must be the same:
/// by epoch, then by having been master in it, then by offset within one replication history. Never by the number of
/// keys, never by a clock.
pub(crate) fn compare(a: &Record, b: &Record) -> Option<Ordering> {
    if a.data_set != b.data_set {
        let both_copied = a.is_copied() && b.is_copied();
        let by_origin = b.is_copied().cmp(&a.is_copied());
        return Some(by_origin).filter(|order| !both_copied && order.is_ne());
    }
    let by_epoch = a.epoch.cmp(&b.epoch).then(a.master.cmp(&b.master));
    if by_epoch != Ordering::Equal {
        return Some(by_epoch);
    }
    if a.replid == b.replid {
        return Some(a.offset.cmp(&b.offset));
    }
    continues(a, b).map(|()| Ordering::Greater).or_else(|| continues(b, a).map(|()| Ordering::Less))
}

/// The history of `newer` went on from the one of `older`, beyond where `older` stopped.
fn continues(newer: &Record, older: &Record) -> Option<()> {
    let (replid, until) = newer.previous.as_ref()?;
    (*replid == older.replid && older.offset <= *until).then_some(())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
