//! Keys of a drill: unique, recognisable, gone after an hour whatever happens to the drill.

use crate::account::WriterLog;

/// Time to live of every key, seconds: longer than any drill, so that none expires before it is read back, and short
/// enough that what an interrupted drill leaves behind does not stay.
pub(crate) const TTL_S: u64 = 3600;

/// Names the keys of one drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Id of the drill.
    pub id: String,
}

impl Keys {
    /// The key of a writer's write.
    pub(crate) fn key(&self, writer: u32, n: u64) -> String {
        format!("drill:{}:{writer}:{n}", self.id)
    }

    /// Every key that was sent, acknowledged or not.
    pub(crate) fn tried<'a>(&'a self, logs: &'a [WriterLog]) -> impl Iterator<Item = String> + 'a {
        logs.iter().flat_map(move |log| (0..log.tried).map(move |n| self.key(log.writer, n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_writes_share_a_key_and_every_try_is_cleaned_up() {
        let keys = Keys { id: "ab12".to_owned() };
        let log = |writer| WriterLog { writer, tried: 2, ..WriterLog::default() };
        let tried: Vec<_> = keys.tried(&[log(0), log(1)]).collect();
        assert_eq!(tried, ["drill:ab12:0:0", "drill:ab12:0:1", "drill:ab12:1:0", "drill:ab12:1:1"]);
    }
}
