//! One MIGRATE after the other.

use std::time::Duration;

use redoubt_redis::{Connection, Endpoint, Error, Value};

use super::window::{Batch, Key};
use crate::access::Access;

/// A target that says nothing for so long is gone; until then its source stands still.
const SILENCE: Duration = Duration::from_secs(1);
/// RESTORE of one big key keeps the target from answering: 20 MB a second is a slow one.
const BYTES_PER_MS: u64 = 20_000;
/// The source stands still for a MIGRATE of the other lane as well, and tries a broken link twice.
const PATIENCE: u32 = 6;

/// A connection to the source.
#[derive(Debug)]
pub(super) struct Lane {
    connection: Connection,
    target: Endpoint,
    access: Access,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Sent {
    /// The source has none of its keys any more.
    Moved,
    /// Some are at the target already.
    Occupied,
    /// The target did not answer in time. It may have taken some keys; it will not take more.
    Unanswered(Error),
}

impl Lane {
    pub(super) fn new(connection: Connection, target: Endpoint, access: Access) -> Self {
        Self { connection, target, access }
    }

    /// Moves the keys that are still there.
    pub(super) async fn send(&mut self, batch: &Batch) -> Result<Sent, Error> {
        let bytes: u64 = batch.keys.iter().map(|key| key.bytes).sum();
        let limit = SILENCE + Duration::from_millis(bytes / BYTES_PER_MS);
        let words = self.words(&batch.keys, batch.overwrite, limit);
        match self.connection.call_within(limit * PATIENCE, &words).await {
            Ok(Value::Simple(_)) => Ok(Sent::Moved),
            Ok(other) => Err(Error::Closed {
                peer: self.connection.peer().into(),
                command: "MIGRATE".to_owned(),
                why: format!("it answered with {}", other.describe()),
            }),
            Err(Error::Server { message, .. }) if message.contains("BUSYKEY") => Ok(Sent::Occupied),
            Err(error) if error.code() == Some("IOERR") => {
                let mut target = self.access.connect(&self.target).await?;
                cut_arrivals(&mut target).await?;
                Ok(Sent::Unanswered(error))
            }
            Err(error) => Err(error),
        }
    }

    fn words(&self, keys: &[Key], overwrite: bool, limit: Duration) -> Vec<Vec<u8>> {
        let text = |text: &str| text.as_bytes().to_vec();
        let mut words = vec![
            text("MIGRATE"),
            text(&self.target.host),
            text(&self.target.port.to_string()),
            text(""),
            text("0"),
        ];
        words.push(text(&limit.as_millis().to_string()));
        words.extend(overwrite.then(|| text("REPLACE")));
        words.extend(self.access.migrate_words());
        words.push(text("KEYS"));
        words.extend(keys.iter().map(|key| key.name.clone()));
        words
    }
}

/// Cuts the connections at the target by which other servers bring keys, so that nothing an unanswered MIGRATE has sent
/// is taken later: after a client has deleted or changed the key. A server whose MIGRATE is hit by this tries again by
/// itself.
pub(super) async fn cut_arrivals(target: &mut Connection) -> Result<(), Error> {
    let list = target.call_as(&["CLIENT", "LIST"], |reply| Ok(reply.as_str()?.to_owned())).await?;
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    for line in list.lines() {
        // A new connection has given no command yet.
        let arrives = matches!(field(line, "cmd").as_deref(), Some("restore-asking" | "NULL"));
        let Some(id) = field(line, "id").filter(|_| arrives) else { continue };
        target.call(&["CLIENT", "KILL", "ID", &id]).await?;
    }
    Ok(())
}
