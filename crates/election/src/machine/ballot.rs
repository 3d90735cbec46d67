//! The count of the votes of one epoch.

use std::collections::BTreeMap;

use super::{call::VoteReply, sight::Quorum};
use crate::Moment;

/// The votes asked for in one epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ballot {
    pub(crate) epoch: u64,
    candidate: String,
    replies: BTreeMap<usize, VoteReply>,
    /// When the first reply came.
    pub(crate) heard_at: Option<Moment>,
}

/// How a vote stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// More replies may decide it.
    Open,
    Won,
    /// Another candidate has a majority, in this epoch or a later one.
    Outvoted {
        by: String,
    },
    /// Nobody can have one.
    Split,
    /// Nobody voted in this epoch at all: the Sentinels are ahead of it.
    Stale,
}

impl Ballot {
    pub(crate) fn new(epoch: u64, candidate: &str) -> Self {
        Self { epoch, candidate: candidate.to_owned(), ..Self::default() }
    }

    pub(crate) fn reply(&mut self, sentinel: usize, reply: VoteReply, now: Moment) {
        self.heard_at.get_or_insert(now);
        self.replies.insert(sentinel, reply);
    }

    pub(crate) fn answered(&self, sentinel: usize) -> bool {
        self.replies.contains_key(&sentinel)
    }

    /// Who voted for us in this epoch.
    pub(crate) fn ours(&self) -> impl Iterator<Item = usize> {
        let ours = |reply: &VoteReply| {
            reply.epoch == self.epoch && reply.leader.as_deref() == Some(self.candidate.as_str())
        };
        self.replies.iter().filter(move |(_, reply)| ours(reply)).map(|(sentinel, _)| *sentinel)
    }

    /// The highest epoch that the replies speak of.
    pub(crate) fn highest(&self) -> u64 {
        self.replies.values().map(|reply| reply.epoch).fold(self.epoch, u64::max)
    }

    pub(crate) fn outcome(&self, quorum: Quorum, complete: bool) -> Outcome {
        if self.ours().count() >= quorum.votes {
            return Outcome::Won;
        }
        if let Some(by) = self.winner(quorum) {
            return Outcome::Outvoted { by };
        }
        if !complete {
            return Outcome::Open;
        }
        let current = |reply: &VoteReply| reply.epoch >= self.epoch && reply.leader.is_some();
        if self.replies.values().any(current) { Outcome::Split } else { Outcome::Stale }
    }

    fn winner(&self, quorum: Quorum) -> Option<String> {
        let mut tally: BTreeMap<(u64, &str), usize> = BTreeMap::new();
        for reply in self.replies.values().filter(|reply| reply.epoch >= self.epoch) {
            if let Some(leader) = reply.leader.as_deref().filter(|leader| *leader != self.candidate) {
                *tally.entry((reply.epoch, leader)).or_default() += 1;
            }
        }
        tally
            .into_iter()
            .find(|(_, votes)| *votes >= quorum.majority)
            .map(|((_, leader), _)| leader.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_THREE: Quorum = Quorum { known: 3, majority: 2, votes: 2 };

    fn ballot(replies: &[(&str, u64)]) -> Ballot {
        let mut ballot = Ballot::new(7, "us");
        for (sentinel, (leader, epoch)) in replies.iter().enumerate() {
            let leader = (*leader != "*").then(|| (*leader).to_owned());
            ballot.reply(sentinel, VoteReply { leader, epoch: *epoch }, Moment::START);
        }
        ballot
    }

    #[test]
    fn a_vote_of_another_epoch_never_elects() {
        let outvoted = Outcome::Outvoted { by: "them".to_owned() };
        let cases = [
            (&[("us", 7), ("us", 7)][..], Outcome::Won),
            (&[("us", 7)], Outcome::Open),
            (&[("us", 6), ("us", 6), ("us", 7)], Outcome::Split),
            (&[("us", 8), ("us", 8), ("us", 8)], Outcome::Split),
            (&[("them", 7), ("them", 7)], outvoted.clone()),
            (&[("them", 8), ("us", 7), ("them", 8)], outvoted),
            (&[("them", 7), ("them", 8), ("us", 7)], Outcome::Split),
            (&[("them", 7), ("us", 7), ("third", 7)], Outcome::Split),
            (&[("them", 5), ("them", 5), ("them", 5)], Outcome::Stale),
            (&[("*", 0), ("*", 6), ("*", 6)], Outcome::Stale),
        ];
        for (replies, outcome) in cases {
            assert_eq!(ballot(replies).outcome(OF_THREE, replies.len() == 3), outcome, "{replies:?}");
        }
    }

    #[test]
    fn a_quorum_above_the_majority_is_asked_for() {
        let four_of_five = Quorum { known: 5, majority: 3, votes: 4 };
        let three = ballot(&[("us", 7), ("us", 7), ("us", 7)]);
        assert_eq!(three.outcome(four_of_five, false), Outcome::Open);
        assert_eq!(three.outcome(four_of_five, true), Outcome::Split);
    }
}
