//! Sentinel's own announcement of a master, in the name of a Sentinel that the hearer knows.
//!
//! A Sentinel believes a hello with a higher config epoch, whoever sends it, if the Sentinel it speaks of is known to
//! it. In its own name it would list itself as a stranger; so each is told in the name of another.

use redoubt_redis::{Endpoint, sentinel::Hello};
use redoubt_wire::config::SentinelConfig;

use super::sight::SentinelSight;

/// What is announced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announcement<'a> {
    pub(crate) config: &'a SentinelConfig,
    pub(crate) epoch: u64,
    pub(crate) master: &'a Endpoint,
}

impl Announcement<'_> {
    /// For this Sentinel; `None` if there is nobody else to speak for.
    pub(crate) fn to(&self, hearer: usize, sight: Option<&SentinelSight>) -> Option<String> {
        self.known_to(sight).or_else(|| {
            let another = self.config.sentinels.iter().enumerate().find(|(index, _)| *index != hearer);
            another.map(|(_, speaker)| self.text(&speaker.id, &speaker.server))
        })
    }

    /// A peer as the hearer itself knows it, one of the set first.
    fn known_to(&self, sight: Option<&SentinelSight>) -> Option<String> {
        let of_the_set = |id: &str| self.config.sentinels.iter().any(|entry| entry.id == id);
        let speaker = sight?.peers.iter().min_by_key(|peer| (!of_the_set(&peer.id), &peer.id))?;
        Some(self.text(&speaker.id, &speaker.at))
    }

    /// For a node, where all Sentinels listen. Nobody takes what is said in its own name, so it takes two.
    pub(crate) fn at_node(&self) -> Vec<String> {
        self.config.sentinels.iter().take(2).map(|speaker| self.text(&speaker.id, &speaker.server)).collect()
    }

    fn text(&self, id: &str, at: &Endpoint) -> String {
        let hello = Hello {
            sentinel: at.clone(),
            id: id.to_owned(),
            epoch: self.epoch,
            master_name: self.config.master_name.clone(),
            master: self.master.clone(),
            config_epoch: self.epoch,
        };
        hello.to_string()
    }
}
