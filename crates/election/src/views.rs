//! What each Sentinel was last heard to say.

use std::collections::BTreeMap;

use redoubt_redis::Endpoint;

use crate::{Moment, News, WatchEvent};

/// The last vote a Sentinel was heard to give.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Vote {
    /// Id of the candidate.
    pub leader: String,
    /// In which epoch.
    pub epoch: u64,
    /// When it was heard.
    pub heard: Moment,
}

/// One Sentinel, as heard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct View {
    in_reach: bool,
    names: Option<Endpoint>,
    vote: Option<Vote>,
}

/// What the Sentinels say, put together from the events of [`crate::watch`].
///
/// A Sentinel that went out of reach keeps its last word for [`SentinelViews::named_by`], but does not count for
/// [`SentinelViews::named`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct SentinelViews {
    views: BTreeMap<String, View>,
    epoch: u64,
    switched: Option<Moment>,
}

impl SentinelViews {
    /// Nothing heard yet of these Sentinels.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            views: names.into_iter().map(|name| (name.into(), View::default())).collect(),
            ..Self::default()
        }
    }

    /// Takes in one event.
    pub fn hear(&mut self, event: &WatchEvent, now: Moment) {
        let view = self.views.entry(event.sentinel.clone()).or_default();
        match &event.news {
            News::Up { names, epoch } => {
                let missed = view.names.is_some() && view.names != *names;
                self.switched = if missed { Some(now) } else { self.switched };
                view.in_reach = true;
                view.names.clone_from(names);
                self.epoch = self.epoch.max(*epoch);
            }
            News::Down { .. } => view.in_reach = false,
            News::Switched { new, .. } => {
                view.names = Some(new.clone());
                self.switched = Some(now);
            }
            News::NewEpoch { epoch } => self.epoch = self.epoch.max(*epoch),
            News::Voted { leader, epoch } => {
                self.epoch = self.epoch.max(*epoch);
                view.vote = Some(Vote { leader: leader.clone(), epoch: *epoch, heard: now });
            }
        }
    }

    /// From now on these are all Sentinels of the set; what those that stay said is kept.
    pub fn listen_to(&mut self, names: &[String]) {
        self.views.retain(|name, _| names.contains(name));
        for name in names {
            self.views.entry(name.clone()).or_default();
        }
    }

    /// Sentinels in all.
    #[must_use]
    pub fn known(&self) -> usize {
        self.views.len()
    }

    /// More than half of all.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.views.len() / 2 + 1
    }

    /// A majority answers.
    #[must_use]
    pub fn majority_in_reach(&self) -> bool {
        self.views.values().filter(|view| view.in_reach).count() >= self.majority()
    }

    /// Whom a majority of all Sentinels names, counting only those in reach.
    #[must_use]
    pub fn named(&self) -> Option<&Endpoint> {
        let in_reach = self.views.values().filter(|view| view.in_reach);
        let mut tally: BTreeMap<&Endpoint, usize> = BTreeMap::new();
        for name in in_reach.filter_map(|view| view.names.as_ref()) {
            *tally.entry(name).or_default() += 1;
        }
        tally.into_iter().find(|(_, count)| *count >= self.majority()).map(|(name, _)| name)
    }

    /// Whom this Sentinel named last.
    #[must_use]
    pub fn named_by(&self, sentinel: &str) -> Option<&Endpoint> {
        self.views.get(sentinel)?.names.as_ref()
    }

    /// Highest epoch heard of.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The vote in the highest epoch, heard most recently.
    #[must_use]
    pub fn last_vote(&self) -> Option<&Vote> {
        self.views.values().filter_map(|view| view.vote.as_ref()).max_by_key(|vote| (vote.epoch, vote.heard))
    }

    /// The last vote, if no new master has been told of since: an election under way, or abandoned.
    #[must_use]
    pub fn open_vote(&self) -> Option<&Vote> {
        self.last_vote().filter(|vote| self.switched.is_none_or(|switched| switched < vote.heard))
    }

    /// When any Sentinel last told of a new master.
    #[must_use]
    pub fn last_switch(&self) -> Option<Moment> {
        self.switched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> Endpoint {
        Endpoint::new(format!("127.0.0.{number}"), 6379)
    }

    fn views(said: &[(&str, News)]) -> SentinelViews {
        let mut views = SentinelViews::new(["s0", "s1", "s2"]);
        for (at, (sentinel, news)) in (1..).zip(said) {
            let event = WatchEvent { sentinel: (*sentinel).to_owned(), news: news.clone() };
            views.hear(&event, Moment::ms(at));
        }
        views
    }

    fn up(number: u8) -> News {
        News::Up { names: Some(node(number)), epoch: 1 }
    }

    /// What was heard, and who is named then.
    type Case<'a> = (&'a [(&'a str, News)], Option<u8>);

    #[test]
    fn only_a_majority_of_all_names_a_master() {
        let down = News::Down { why: String::new() };
        let cases: [Case<'_>; 5] = [
            (&[("s0", up(0))], None),
            (&[("s0", up(0)), ("s1", up(0))], Some(0)),
            (&[("s0", up(0)), ("s1", up(1)), ("s2", up(1))], Some(1)),
            (&[("s0", up(0)), ("s1", up(1)), ("s2", up(2))], None),
            (&[("s0", up(0)), ("s1", up(0)), ("s1", down)], None),
        ];
        for (said, named) in cases {
            assert_eq!(views(said).named(), named.map(node).as_ref(), "{said:?}");
        }
    }

    #[test]
    fn a_switch_that_was_missed_ends_the_vote_as_well() {
        let vote = News::Voted { leader: "agent".to_owned(), epoch: 7 };
        let before = views(&[("s0", up(0)), ("s0", vote.clone())]);
        assert_eq!(before.open_vote().map(|vote| vote.epoch), Some(7));
        assert_eq!(before.epoch(), 7);
        let after = views(&[("s0", up(0)), ("s0", vote), ("s0", up(1))]);
        assert_eq!(after.open_vote(), None);
    }
}
