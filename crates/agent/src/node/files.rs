//! Which files hold the data, and bringing the append-only file to what is wanted.

use redoubt_serverconf::{
    aof::{self, Driver, StartsAs, Step},
    files::off_thread,
};

use super::{Node, serve::Watchman};
use crate::{
    fault::Fault,
    record::{self, Held},
    server::Server,
};

/// What a start will load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Files {
    /// Which files.
    pub(super) held: Held,
    /// The server's configuration says `appendonly yes`.
    pub(super) aof_in_file: bool,
    /// The append-only file is wanted, and will be written while the server runs.
    pub(super) turns_aof_on: bool,
    /// The files that held the data are gone; what is loaded instead may be older, or nothing.
    pub(super) lost: bool,
}

impl Node {
    /// Data is to outlive the process.
    pub(super) fn is_persistent(&self) -> bool {
        let persistence = &self.agent.set.persistence;
        persistence.aof || !persistence.rdb_save.is_empty()
    }

    /// Which files a start has to load. To be asked while no server runs.
    pub(super) async fn files(&self, starts_as: StartsAs) -> Result<Files, Fault> {
        let wanted = self.agent.set.persistence.aof;
        let (dir, version) = (self.agent.args.data.clone(), self.version);
        let (start, held_data) = off_thread(move || -> Result<_, Fault> {
            Ok((aof::prepare(&dir, wanted, Some(version), starts_as)?, record::held_data(&dir)?))
        })
        .await?;
        let aof_in_file = start.holds.aof_in_file();
        let lost = start.lost && held_data;
        let held = match (self.is_persistent(), aof_in_file) {
            (false, _) => Held::Nothing,
            // An append-only file in place of a snapshot that is gone is older than the record says.
            (true, true) if lost => Held::Nothing,
            (true, true) => Held::Aof,
            (true, false) => Held::Rdb,
        };
        Ok(Files { held, aof_in_file, turns_aof_on: wanted && !aof_in_file, lost })
    }

    /// One stretch towards the wanted append-only file: all steps up to one that takes its time. A replica that is not in
    /// sync yet may get everything anew.
    pub(super) async fn settle_files(&mut self, server: &mut Server, watchman: &mut Watchman) {
        if watchman.files_settled || !watchman.joined {
            return;
        }
        match self.next_steps(server).await {
            Ok(settled) => watchman.files_settled = settled,
            Err(fault) => {
                let told = fault.to_string();
                if watchman.files_fault.as_ref() != Some(&told) {
                    self.agent.shared.notice("PersistenceFault", told.as_str(), true);
                    watchman.files_fault = Some(told);
                }
            }
        }
        if watchman.files_settled && watchman.files_fault.take().is_some() {
            self.agent.shared.notice(
                "PersistenceMended",
                "the append-only file is as the spec wants it",
                false,
            );
        }
    }

    async fn next_steps(&self, server: &mut Server) -> Result<bool, aof::AofError> {
        let connection = server.connection().await?;
        let wanted = self.agent.set.persistence.aof;
        let mut driver = Driver { connection, dir: &self.agent.args.data, wanted };
        loop {
            let (step, _) = driver.look().await?;
            match step {
                Step::Done => return Ok(true),
                Step::Wait(_) => return Ok(false),
                Step::Failed(what) => return Err(aof::AofError::Failed(what)),
                Step::Save => {
                    driver.carry_out(Step::Save).await?;
                    return Ok(false);
                }
                step => driver.carry_out(step).await?,
            }
        }
    }
}
