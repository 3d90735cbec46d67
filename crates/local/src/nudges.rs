//! Sets that deserve a look, each at most once in the queue, so that the queue is never longer than there are sets.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// Written by whoever sees something, read by the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nudges {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    names: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Nudges {
    /// This set deserves a look.
    pub(crate) fn nudge(&self, name: &str) {
        self.inner.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        self.inner.wake.notify_one();
    }

    /// The next set that deserves one. Can be dropped and called again.
    pub(crate) async fn next(&self) -> String {
        loop {
            if let Some(name) = self.inner.names.lock().unwrap_or_else(PoisonError::into_inner).pop_first() {
                return name;
            }
            self.inner.wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_set_waits_once_however_often_it_was_nudged() {
        let nudges = Nudges::default();
        for name in ["b", "a", "b", "b"] {
            nudges.nudge(name);
        }
        assert_eq!((nudges.next().await, nudges.next().await), ("a".to_owned(), "b".to_owned()));
        let waiting = tokio::spawn({
            let nudges = nudges.clone();
            async move { nudges.next().await }
        });
        tokio::task::yield_now().await;
        nudges.nudge("c");
        assert_eq!(waiting.await.unwrap(), "c");
    }
}
