//! What a Sentinel publishes of votes and changes of master
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#pubsub-messages>).

use crate::{endpoint::Endpoint, subscription::Message, value::Mismatch};

/// The master of a name is another one: `name old-ip old-port new-ip new-port`.
pub const SWITCH_MASTER: &str = "+switch-master";
/// The Sentinel gave its vote: `id epoch`.
pub const VOTE_FOR_LEADER: &str = "+vote-for-leader";
/// The Sentinel learnt of a higher epoch: `epoch`.
pub const NEW_EPOCH: &str = "+new-epoch";

/// All channels that [`Event`] reads.
pub const CHANNELS: [&str; 3] = [SWITCH_MASTER, VOTE_FOR_LEADER, NEW_EPOCH];

/// One of the messages of [`CHANNELS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The master of a name is another one.
    SwitchMaster {
        /// Name of the master.
        name: String,
        /// Where it was.
        from: Endpoint,
        /// Where it is.
        to: Endpoint,
    },
    /// The Sentinel gave its vote.
    VoteForLeader {
        /// For whom.
        id: String,
        /// In which epoch.
        epoch: u64,
    },
    /// The Sentinel learnt of a higher epoch.
    NewEpoch {
        /// Which.
        epoch: u64,
    },
}

impl Event {
    /// Reads a message; `None` for channels that are not among [`CHANNELS`].
    pub fn read(message: &Message) -> Result<Option<Self>, Mismatch> {
        let text = message.text();
        let words: Vec<&str> = text.split(' ').collect();
        let read = match message.channel.as_str() {
            SWITCH_MASTER => switch_master(&words),
            VOTE_FOR_LEADER => vote(&words),
            NEW_EPOCH => epoch(&words),
            _ => return Ok(None),
        };
        read.map(Some)
            .ok_or_else(|| Mismatch::new(format!("a {} message", message.channel), format!("{text:?}")))
    }
}

fn switch_master(words: &[&str]) -> Option<Event> {
    let &[name, from_host, from_port, to_host, to_port] = words else { return None };
    Some(Event::SwitchMaster {
        name: name.to_owned(),
        from: Endpoint::new(from_host, from_port.parse().ok()?),
        to: Endpoint::new(to_host, to_port.parse().ok()?),
    })
}

fn vote(words: &[&str]) -> Option<Event> {
    let &[id, epoch] = words else { return None };
    Some(Event::VoteForLeader { id: id.to_owned(), epoch: epoch.parse().ok()? })
}

fn epoch(words: &[&str]) -> Option<Event> {
    let &[epoch] = words else { return None };
    Some(Event::NewEpoch { epoch: epoch.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(channel: &str, text: &str) -> Result<Option<Event>, Mismatch> {
        Event::read(&Message { channel: channel.to_owned(), payload: text.to_owned().into() })
    }

    #[test]
    fn other_channels_are_no_fault_and_malformed_messages_are() {
        assert_eq!(read("+sdown", "anything"), Ok(None));
        assert_eq!(read(NEW_EPOCH, "3"), Ok(Some(Event::NewEpoch { epoch: 3 })));
        for (channel, text) in [(SWITCH_MASTER, "m a 1 b"), (VOTE_FOR_LEADER, "id -1"), (NEW_EPOCH, "")] {
            assert!(read(channel, text).is_err(), "{channel} {text}");
        }
    }
}
