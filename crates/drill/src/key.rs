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
    /// What the keys begin with: of those that go to a certain shard a tag in braces. Writers take turns.
    pub tags: Vec<String>,
}

impl Keys {
    /// Keys of a set in which any will do.
    pub(crate) fn anywhere() -> Self {
        Self::new(vec![String::new()])
    }

    /// Keys that begin with these tags.
    pub(crate) fn new(tags: Vec<String>) -> Self {
        Self { id: format!("{:08x}", rand::random::<u32>()), tags }
    }

    /// Which of the tags this writer has.
    pub(crate) fn part(&self, writer: u32) -> usize {
        writer as usize % self.tags.len().max(1)
    }

    /// The key of a writer's write.
    pub(crate) fn key(&self, writer: u32, n: u64) -> String {
        let tag = self.tags.get(self.part(writer)).map_or("", String::as_str);
        format!("{tag}drill:{}:{writer}:{n}", self.id)
    }

    /// Every key that was sent, acknowledged or not.
    pub(crate) fn tried<'a>(
        &'a self,
        logs: impl IntoIterator<Item = &'a WriterLog> + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        logs.into_iter().flat_map(move |log| (0..log.tried).map(move |n| self.key(log.writer, n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_writes_share_a_key_and_every_try_is_cleaned_up() {
        let keys = Keys { id: "ab12".to_owned(), ..Keys::anywhere() };
        let log = |writer| WriterLog { writer, tried: 2, ..WriterLog::default() };
        let tried: Vec<_> = keys.tried(&[log(0), log(1)]).collect();
        assert_eq!(tried, ["drill:ab12:0:0", "drill:ab12:0:1", "drill:ab12:1:0", "drill:ab12:1:1"]);
        let keys = Keys { tags: vec!["{a}".to_owned(), "{b}".to_owned()], ..keys };
        assert_eq!([0, 1, 2].map(|writer| keys.key(writer, 7)[..3].to_owned()), ["{a}", "{b}", "{a}"]);
    }
}
