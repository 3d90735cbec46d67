//! How long each thing may take, and why.

use std::time::Duration;

/// A Sentinel writes its vote to disk before it answers; one stall of 1 s there made three of three votes late when
/// less was allowed. Nobody waits for it once a majority has answered.
pub(crate) const ASK_WITHIN: Duration = Duration::from_millis(1200);

/// A replica that answers later than this is not in reach. Waited for in full: it may be the one with most data.
pub(crate) const NODE_WITHIN: Duration = Duration::from_secs(1);

/// A change at a node (`REPLICAOF`, `CLIENT PAUSE`) that has not been answered by then did not work.
pub(crate) const ACT_WITHIN: Duration = Duration::from_millis(500);

/// Age of a vote after which nothing is begun with it. Rescuers stand back for 1 s.
pub(crate) const VOTE_HOLDS: Duration = Duration::from_millis(500);

/// Age of a vote after which what was begun with it is neither announced nor taken back: from 1 s on it may be
/// another candidate's work that would be announced over, or taken back.
pub(crate) const BEGUN_HOLDS: Duration = Duration::from_millis(900);

/// Age of a vote until which a replica is waited for that still reads what the dead master sent it. The end of its
/// server closed the link, behind all that was on its way.
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_millis(300);

/// Between two looks whether it has.
pub(crate) const DRAIN_POLL: Duration = Duration::from_millis(1);

/// Who lost a vote to another leaves it this long to finish.
pub(crate) const STAND_BACK: Duration = Duration::from_secs(1);

/// After a split vote, at random in between, so that the candidates part.
pub(crate) const SPLIT_PAUSE_MS: (u64, u64) = (10, 60);

/// `CLIENT PAUSE`: what a hand-over may take at the very most. It takes some 5 ms.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// A pause holds Sentinel's hello and the PING behind it as well. All pauses within `downAfter` together stay under
/// this part of it; longer ones had Sentinel replace a living master.
pub(crate) const PAUSE_PART: u32 = 3;

/// A replica that has not caught up by then is not in sync.
pub(crate) const EQUAL_WITHIN: Duration = Duration::from_millis(200);

/// Between two looks at the offsets.
pub(crate) const EQUAL_POLL: Duration = Duration::from_millis(1);

/// Part of the pause, in tenths, after which the old master is not demoted any more: it must be a replica before
/// its clients may write again, whatever the way there takes.
pub(crate) const DEMOTE_TENTHS: u32 = 6;

/// Part of the pause, in tenths, after which it is left to run out: an UNPAUSE that comes later could end the pause
/// of another hand-over.
pub(crate) const UNPAUSE_TENTHS: u32 = 8;

/// How often an announcement is made, and the pause in between.
pub(crate) const ANNOUNCE_TRIES: u32 = 3;
/// See [`ANNOUNCE_TRIES`].
pub(crate) const ANNOUNCE_PAUSE: Duration = Duration::from_millis(100);

/// A reading on which another node is re-pointed must not be older than this.
pub(crate) const COUNT_HOLDS: Duration = Duration::from_millis(500);

/// Before the second look whether a replica has attached to the new master, which takes it some milliseconds; each
/// pause after that is twice as long.
pub(crate) const ATTACH_POLL: Duration = Duration::from_millis(2);

/// Rounds of look, vote and act within one request. The caller may ask again.
pub(crate) const ROUNDS: u32 = 6;

/// Elections won in vain within one request after which Sentinel is left to fail over by itself.
pub(crate) const WASTED: u32 = 3;

/// A single Sentinel takes about 0.3 s to promote and another 1 s to name the new master.
pub(crate) const SINGLE_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at a single Sentinel's failover.
pub(crate) const SINGLE_POLL: Duration = Duration::from_millis(10);
