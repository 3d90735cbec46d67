//! Keys that were on their way to a master that died: its heir has them, and nobody is served from them there. Once their
//! slots are marked as coming, everybody sees that they are open, and whoever moves slots finishes them first.

use std::mem;

use redoubt_redis::cluster::SlotSet;
use redoubt_slots::{Access, mark_strays};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{
    Node,
    moving::{self, SLOTS_ANSWER},
};

/// How far the search for them is, of a server that owns slots.
#[derive(Debug, Default)]
pub(super) enum Search {
    /// It owns slots since now.
    #[default]
    Due,
    /// On a thread of its own: to count the keys of 16384 slots takes its time.
    UnderWay(oneshot::Receiver<Result<SlotSet, String>>),
    /// What came later has come with an open slot.
    Done,
}

impl Node {
    /// Looks once for such keys when a server has come to own slots.
    pub(super) fn search_strays(&self, search: &mut Search, leads: bool) {
        *search = match mem::take(search) {
            _ if !leads => Search::Due,
            Search::Due => self.begin_search(),
            Search::UnderWay(mut found) => match found.try_recv() {
                Err(TryRecvError::Empty) => Search::UnderWay(found),
                Err(TryRecvError::Closed) => Search::Due,
                Ok(Ok(slots)) => {
                    self.tell_strays(&slots);
                    Search::Done
                }
                Ok(Err(why)) => {
                    tracing::warn!(%why, "it is not known yet whether keys of others' slots are here; tried again");
                    Search::Due
                }
            },
            Search::Done => Search::Done,
        };
    }

    fn begin_search(&self) -> Search {
        let access = Access::new(self.agent.nodes.with_deadline(SLOTS_ANSWER), None);
        let (me, (tell, found)) = (self.me.server.clone(), oneshot::channel());
        let search = async move {
            let marked = mark_strays(&access, &me).await;
            // Nobody waits for it any more where the server has ended.
            drop(tell.send(marked.map_err(|error| error.to_string())));
        };
        match moving::on_thread(search) {
            Ok(()) => Search::UnderWay(found),
            Err(error) => {
                tracing::error!(%error, "no thread to count keys on; tried again");
                Search::Due
            }
        }
    }

    fn tell_strays(&self, slots: &SlotSet) {
        if slots.is_empty() {
            return;
        }
        let what = format!(
            "holds keys of others' {}, which were on their way when the master before it died: they are marked as open, and brought to where clients look for them",
            slots.outline()
        );
        self.agent.shared.notice("KeysOnTheirWay", what, true);
    }
}
