//! What an agent does about an election that somebody else left half done.
//!
//! # Expected flow
//! The agent feeds [`SentinelViews`] with the events of [`crate::watch`], looks at the named master when something
//! changed, and asks [`Rescue::decide`] again at [`Rescue::wake_at`].
//!
//! # Guarantees
//! Nobody acts before the patience for what is seen has passed without a break, longer than a healthy election
//! takes at its slowest (it gives itself up 500 ms after the vote). The random part keeps two rescuers apart.
//!
//! # Caveats
//! A master that is silent, rather than gone, is left to Sentinel as long as nobody has voted: it may only be out of
//! this node's reach.

use std::time::Duration;

use redoubt_redis::Endpoint;

use crate::{Moment, SentinelViews};

/// A vote of an agent that no announcement follows. A healthy one announces 10 ms after its vote, and stops itself
/// after 500 ms; 1 s is also how long the loser of a vote stands back.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(1);

/// A vote for a Sentinel: it waits up to 1 s for INFO to show the promotion before it names the new master.
pub const SENTINEL_VOTE_AFTER: Duration = Duration::from_secs(3);

/// A named master whose port refuses connections, and nobody asked for a vote: its agent went with it. The agent,
/// alive, asks within milliseconds; a restarted one within a second.
pub const GONE_AFTER: Duration = Duration::from_millis(1500);

/// A named master that reports replica. In a hand-over it does so for milliseconds.
pub const MISPLACED_AFTER: Duration = Duration::from_secs(1);

/// A replica that does not follow the named master. Who won the election points it there within milliseconds.
pub const ASTRAY_AFTER: Duration = Duration::from_millis(500);

/// The random part of every patience: two agents that saw the same event rarely vote in the same millisecond.
pub const JITTER: Duration = Duration::from_millis(400);

/// What this agent knows of the master that the Sentinels name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NamedMaster {
    /// Not looked at yet, or it is loading.
    Unknown,
    /// It answers, as master.
    Leads,
    /// It answers, as replica.
    Follows {
        /// Its master is in the set and answers as master, or may do so: it is silent here.
        somebody_who_leads: bool,
    },
    /// No answer. It may hang, or be out of this node's reach.
    Silent,
    /// Connections are refused: nothing listens there.
    Gone,
}

/// What this agent knows of its own server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mine {
    /// It reports master.
    Leads {
        /// When it was seen to be made one, by whomever: a replica until then.
        promoted: Option<Moment>,
    },
    /// It reports replica.
    Follows {
        /// Of the named master.
        named: bool,
    },
    /// It does not answer, or is not started.
    Down,
}

/// All that a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// This node's announced endpoint.
    pub me: &'a Endpoint,
    /// Its server.
    pub mine: Mine,
    /// Its data has the right to lead (the boot rules said so, or it has followed a master since).
    pub may_lead: bool,
    /// An election of this very agent is under way.
    pub busy: bool,
    /// What the Sentinels say.
    pub views: &'a SentinelViews,
    /// Fixed ids of the Sentinels, to tell their votes from those of agents.
    pub sentinel_ids: &'a [String],
    /// The named master.
    pub named: &'a NamedMaster,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask for a vote: [`crate::change_master`] with [`redoubt_wire::failover::Cause::Rescue`].
    BeCandidate {
        /// The named master.
        replaces: Endpoint,
        /// What was seen, for people.
        why: String,
    },
    /// `REPLICAOF NO ONE` on this node: the only Sentinel names it, and nobody else leads.
    LeadAsNamed,
    /// `REPLICAOF` the named master: this node leads without being named (cut its clients), or follows another.
    FollowNamed {
        /// The named master.
        master: Endpoint,
    },
}

/// What is out of order. As long as it stays the same the patience runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Trouble {
    AbandonedVote(OpenVote),
    Gone,
    NamedFollows,
    NamedMe,
    Unnamed {
        vote: Option<OpenVote>,
    },
    /// Just made a master, and the vote for whoever did so is still to be heard.
    Unheard {
        promoted: Moment,
    },
    Astray,
}

/// A vote that no announcement followed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct OpenVote {
    epoch: u64,
    by_sentinel: bool,
}

impl OpenVote {
    /// How long whoever was voted for may take to announce.
    fn patience(self) -> Duration {
        if self.by_sentinel { SENTINEL_VOTE_AFTER } else { ABANDONED_AFTER }
    }
}

/// Remembers since when something is out of order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Rescue {
    running: Option<Patience>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Patience {
    trouble: Trouble,
    until: Moment,
}

impl Rescue {
    /// What to do now, if anything. `random` sets how long this agent waits for a new trouble.
    pub fn decide(&mut self, situation: &Situation<'_>, now: Moment, random: u64) -> Option<Action> {
        let Some(trouble) = trouble(situation) else {
            self.running = None;
            return None;
        };
        let patience = match self.running.take() {
            Some(running) if running.trouble == trouble => running,
            _ => {
                let until = since(&trouble, situation, now) + patience(&trouble, random);
                Patience { trouble, until }
            }
        };
        if now < patience.until {
            self.running = Some(patience);
            return None;
        }
        action(&patience.trouble, situation)
    }

    /// When to decide again if nothing happens.
    #[must_use]
    pub fn wake_at(&self) -> Option<Moment> {
        self.running.as_ref().map(|patience| patience.until)
    }
}

fn trouble(situation: &Situation<'_>) -> Option<Trouble> {
    if situation.busy {
        return None;
    }
    let named = situation.views.named()?;
    let vote = situation.views.open_vote().map(|vote| OpenVote {
        epoch: vote.epoch,
        by_sentinel: situation.sentinel_ids.contains(&vote.leader),
    });
    if named == situation.me {
        let misplaced = matches!(situation.mine, Mine::Follows { .. }) && situation.may_lead;
        return misplaced.then_some(Trouble::NamedMe);
    }
    if *situation.named == NamedMaster::Leads {
        return match situation.mine {
            Mine::Leads { promoted: Some(promoted) } if vote.is_none() => Some(Trouble::Unheard { promoted }),
            Mine::Leads { .. } => Some(Trouble::Unnamed { vote }),
            Mine::Follows { named: false } => Some(Trouble::Astray),
            Mine::Follows { named: true } | Mine::Down => None,
        };
    }
    if let Some(vote) = vote.filter(|_| *situation.named != NamedMaster::Unknown) {
        return Some(Trouble::AbandonedVote(vote));
    }
    match situation.named {
        NamedMaster::Gone => Some(Trouble::Gone),
        NamedMaster::Follows { .. } => Some(Trouble::NamedFollows),
        NamedMaster::Unknown | NamedMaster::Leads | NamedMaster::Silent => None,
    }
}

/// A vote counts from when it was heard; everything else from when it was first seen here.
fn since(trouble: &Trouble, situation: &Situation<'_>, now: Moment) -> Moment {
    match trouble {
        Trouble::AbandonedVote(_) | Trouble::Unnamed { vote: Some(_) } => {
            situation.views.open_vote().map_or(now, |vote| vote.heard)
        }
        Trouble::Unheard { promoted } => *promoted,
        _ => now,
    }
}

fn patience(trouble: &Trouble, random: u64) -> Duration {
    let least = match trouble {
        // Also of the node it chose: Sentinel promotes up to 1 s before it announces, and the old master may still answer.
        Trouble::AbandonedVote(vote) | Trouble::Unnamed { vote: Some(vote) } => vote.patience(),
        Trouble::Unheard { .. } => SENTINEL_VOTE_AFTER,
        Trouble::Gone => GONE_AFTER,
        // Its own agent comes first; the others would only stand in its way.
        Trouble::NamedFollows => 2 * MISPLACED_AFTER,
        Trouble::NamedMe => MISPLACED_AFTER,
        Trouble::Astray => ASTRAY_AFTER,
        // The election is over, and named another: every write taken from now on will be lost.
        Trouble::Unnamed { vote: None } => return Duration::ZERO,
    };
    least + JITTER * u32::try_from(random % 1024).unwrap_or(0) / 1024
}

fn action(trouble: &Trouble, situation: &Situation<'_>) -> Option<Action> {
    let named = situation.views.named()?.clone();
    let candidate = |why: &str| Some(Action::BeCandidate { replaces: named.clone(), why: why.to_owned() });
    match trouble {
        Trouble::AbandonedVote(OpenVote { epoch, .. }) => candidate(&format!(
            "nobody was announced after the vote in epoch {epoch}, and {named} does not lead"
        )),
        Trouble::Gone => {
            candidate(&format!("nothing listens at the master {named}, and nobody asks for a vote"))
        }
        Trouble::NamedFollows => candidate(&format!("the named master {named} is a replica")),
        // Another agent may be electing just now: a node that took the lead beside that vote would acknowledge writes,
        // those held back by a pause first, and lose them to the winner. A single Sentinel holds no vote that could say it.
        Trouble::NamedMe => match situation.named {
            NamedMaster::Follows { somebody_who_leads: false } if situation.sentinel_ids.len() == 1 => {
                Some(Action::LeadAsNamed)
            }
            _ => candidate("this node is named master, and is a replica"),
        },
        Trouble::Unnamed { .. } | Trouble::Unheard { .. } | Trouble::Astray => {
            Some(Action::FollowNamed { master: named.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{News, WatchEvent};

    const START: Moment = Moment::ms(10_000);

    fn node(number: u8) -> Endpoint {
        Endpoint::new(format!("127.0.0.{number}"), 6379)
    }

    /// Three Sentinels that name node 0.
    fn views() -> SentinelViews {
        let mut views = SentinelViews::new(["s0", "s1", "s2"]);
        for sentinel in ["s0", "s1", "s2"] {
            hear(&mut views, sentinel, News::Up { names: Some(node(0)), epoch: 1 }, Moment::START);
        }
        views
    }

    fn hear(views: &mut SentinelViews, sentinel: &str, news: News, at: Moment) {
        views.hear(&WatchEvent { sentinel: sentinel.to_owned(), news }, at);
    }

    fn voted(leader: &str) -> SentinelViews {
        let mut views = views();
        hear(&mut views, "s0", News::Voted { leader: leader.to_owned(), epoch: 2 }, START);
        views
    }

    /// What node 1 does, and how long after [`START`].
    fn does(views: &SentinelViews, mine: Mine, named: &NamedMaster, me: u8) -> Option<(Action, Duration)> {
        let (me, sentinel_ids) = (node(me), ["sentinel".to_owned()]);
        let (busy, may_lead) = (false, true);
        let situation =
            Situation { me: &me, mine, may_lead, busy, views, sentinel_ids: &sentinel_ids, named };
        let mut rescue = Rescue::default();
        if let Some(action) = rescue.decide(&situation, START, 0) {
            return Some((action, Duration::ZERO));
        }
        let at = rescue.wake_at()?;
        Some((rescue.decide(&situation, at, 0)?, at.since(START)))
    }

    const FOLLOWS: Mine = Mine::Follows { named: true };
    const LEADS: Mine = Mine::Leads { promoted: None };

    fn candidacy_after(views: &SentinelViews, named: &NamedMaster) -> Option<Duration> {
        match does(views, FOLLOWS, named, 1)? {
            (Action::BeCandidate { replaces, .. }, after) if replaces == node(0) => Some(after),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_abandoned_vote_is_taken_up_after_its_patience() {
        let cases = [
            ("agent", NamedMaster::Gone, Some(ABANDONED_AFTER)),
            ("agent", NamedMaster::Silent, Some(ABANDONED_AFTER)),
            ("agent", NamedMaster::Follows { somebody_who_leads: true }, Some(ABANDONED_AFTER)),
            ("agent", NamedMaster::Leads, None),
            ("agent", NamedMaster::Unknown, None),
            ("sentinel", NamedMaster::Gone, Some(SENTINEL_VOTE_AFTER)),
        ];
        for (leader, named, after) in cases {
            assert_eq!(candidacy_after(&voted(leader), &named), after, "{leader} {named:?}");
        }
    }

    #[test]
    fn without_a_vote_only_certain_death_makes_a_candidate() {
        let cases = [
            (NamedMaster::Gone, Some(GONE_AFTER)),
            (NamedMaster::Follows { somebody_who_leads: false }, Some(2 * MISPLACED_AFTER)),
            (NamedMaster::Silent, None),
            (NamedMaster::Unknown, None),
            (NamedMaster::Leads, None),
        ];
        for (named, after) in cases {
            assert_eq!(candidacy_after(&views(), &named), after, "{named:?}");
        }
    }

    #[test]
    fn a_switch_ends_the_vote_before_it() {
        let mut views = voted("agent");
        let switched = News::Switched { old: node(0), new: node(2) };
        hear(&mut views, "s1", switched, START + Duration::from_millis(5));
        assert_eq!(candidacy_after(&views, &NamedMaster::Silent), None);
    }

    #[test]
    fn the_named_node_asks_for_a_vote_before_it_leads_again() {
        let three = ["a", "b", "c"].map(str::to_owned);
        let single = ["a".to_owned()];
        for (sentinels, somebody_who_leads, leads) in [
            (&three[..], false, false),
            (&three, true, false),
            (&single, true, false),
            (&single, false, true),
        ] {
            let (me, views) = (node(0), views());
            let named = NamedMaster::Follows { somebody_who_leads };
            let situation = Situation {
                me: &me,
                mine: FOLLOWS,
                may_lead: true,
                busy: false,
                views: &views,
                sentinel_ids: sentinels,
                named: &named,
            };
            let mut rescue = Rescue::default();
            assert_eq!(rescue.decide(&situation, START, 0), None);
            let action = rescue.decide(&situation, START + MISPLACED_AFTER, 0);
            let case = format!("{} Sentinels, {named:?}: {action:?}", sentinels.len());
            assert_eq!(matches!(action, Some(Action::LeadAsNamed)), leads, "{case}");
            assert_eq!(matches!(action, Some(Action::BeCandidate { .. })), !leads, "{case}");
        }
        assert_eq!(does(&views(), LEADS, &NamedMaster::Leads, 0), None);
    }

    #[test]
    fn a_node_whose_data_may_not_lead_never_does() {
        let (me, views, named) = (node(0), views(), NamedMaster::Follows { somebody_who_leads: false });
        let situation = Situation {
            me: &me,
            mine: FOLLOWS,
            may_lead: false,
            busy: false,
            views: &views,
            sentinel_ids: &[],
            named: &named,
        };
        let mut rescue = Rescue::default();
        assert_eq!(rescue.decide(&situation, START, 0), None);
        assert_eq!(rescue.wake_at(), None);
    }

    #[test]
    fn a_master_that_another_replaced_steps_down_at_once() {
        let follow = Action::FollowNamed { master: node(0) };
        let leads = NamedMaster::Leads;
        assert_eq!(does(&views(), LEADS, &leads, 1), Some((follow.clone(), Duration::ZERO)));
        // Freshly promoted, it may be announced any moment.
        assert_eq!(does(&voted("agent"), LEADS, &leads, 1), Some((follow.clone(), ABANDONED_AFTER)));
        let chosen_by_sentinel = does(&voted("sentinel"), LEADS, &leads, 1);
        assert_eq!(chosen_by_sentinel, Some((follow.clone(), SENTINEL_VOTE_AFTER)));
        // The vote for it is heard later than its own server.
        let promoted = Mine::Leads { promoted: Some(START) };
        assert_eq!(does(&views(), promoted, &leads, 1), Some((follow.clone(), SENTINEL_VOTE_AFTER)));
        let stray = Mine::Follows { named: false };
        assert_eq!(does(&views(), stray, &leads, 1), Some((follow, ASTRAY_AFTER)));
    }

    #[test]
    fn nobody_acts_without_a_majority_or_while_busy() {
        let mut views = voted("agent");
        for sentinel in ["s0", "s1"] {
            hear(&mut views, sentinel, News::Down { why: String::new() }, START);
        }
        assert_eq!(does(&views, FOLLOWS, &NamedMaster::Gone, 1), None);
    }

    #[test]
    fn patience_starts_again_when_the_trouble_was_over_in_between() {
        let (me, views, mut rescue) = (node(1), views(), Rescue::default());
        let mut decide = |named: &NamedMaster, at: Moment| {
            let (mine, busy, may_lead) = (FOLLOWS, false, true);
            let situation =
                Situation { me: &me, mine, may_lead, busy, views: &views, sentinel_ids: &[], named };
            rescue.decide(&situation, at, 0)
        };
        let later = |milliseconds| START + Duration::from_millis(milliseconds);
        assert_eq!(decide(&NamedMaster::Gone, later(0)), None);
        assert_eq!(decide(&NamedMaster::Unknown, later(1000)), None);
        assert_eq!(decide(&NamedMaster::Gone, later(1400)), None);
        assert_eq!(decide(&NamedMaster::Gone, later(2000)), None);
        assert!(decide(&NamedMaster::Gone, later(2900)).is_some());
    }
}
