//! What is asked for, as the task of a Redis finds it: only the newest matters, so nothing queues.

use redoubt_api::CheckedRedis;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    /// The newest resource that was accepted.
    pub(crate) redis: Option<CheckedRedis>,
    /// Faults of a newer one that was not.
    pub(crate) refused: Vec<String>,
    /// It was deleted; a resource beside it came afterwards, under the same name.
    pub(crate) delete_first: bool,
    /// How often somebody said that something changed on the platform.
    pub(crate) nudges: u64,
}

impl Wanted {
    /// True if the resource is another one than before.
    pub(crate) fn apply(&mut self, redis: CheckedRedis) -> bool {
        if self.redis.as_ref() == Some(&redis) && self.refused.is_empty() {
            return false;
        }
        self.redis = Some(redis);
        self.refused.clear();
        true
    }

    /// True if the faults are others than before.
    pub(crate) fn refuse(&mut self, faults: Vec<String>) -> bool {
        let changed = self.refused != faults;
        self.refused = faults;
        changed
    }

    pub(crate) fn delete(&mut self) {
        *self = Self { delete_first: true, ..Self::default() };
    }

    /// Nothing is left to do and nothing asked for.
    pub(crate) fn is_over(&self) -> bool {
        self.redis.is_none() && self.refused.is_empty() && !self.delete_first
    }
}
