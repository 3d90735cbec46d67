//! What is kept on disk.

use super::Findings;
use crate::{
    AofFsync, Persistence, Volume, defaults,
    raw::{AccessMode, AofSpec, Fsync, PersistenceSpec, Quantity, VolumeSpec},
};

pub(super) fn check(spec: Option<&PersistenceSpec>, findings: &mut Findings) -> Persistence {
    let spec = spec.cloned().unwrap_or_default();
    let aof = spec.aof.unwrap_or_default();
    let save = spec.rdb.and_then(|rdb| rdb.save).unwrap_or_else(|| defaults::RDB_SAVE.to_owned());
    let persistence = Persistence {
        rdb_save: save_points(&save, findings),
        aof: aof.enabled.unwrap_or(defaults::AOF_ENABLED),
        aof_fsync: aof.fsync.unwrap_or(defaults::AOF_FSYNC).into(),
        volume: volume(spec.volume, findings),
    };
    warn_of_nothing(&persistence, &aof, findings);
    persistence
}

/// Save points with single spaces, as `CONFIG GET save` has them.
fn save_points(text: &str, findings: &mut Findings) -> String {
    let numbers: Vec<&str> = text.split_whitespace().collect();
    let positive = |number: &&str| number.parse::<i32>().is_ok_and(|number| number > 0);
    if !numbers.len().is_multiple_of(2) || !numbers.iter().all(positive) {
        let message = format!("{text:?} is not pairs of seconds and changes");
        findings.fault(
            "spec.persistence.rdb.save",
            message,
            "write \"3600 1 300 100\", or \"\" for no snapshots",
        );
    }
    numbers.join(" ")
}

fn warn_of_nothing(persistence: &Persistence, aof: &AofSpec, findings: &mut Findings) {
    if !persistence.aof && persistence.rdb_save.is_empty() {
        let message = "nothing is kept on disk: when all nodes stop, the data is gone";
        findings.warn("spec.persistence", message, "turn one of aof and rdb on, unless this is a pure cache");
    }
    if !persistence.aof && aof.fsync.is_some() {
        findings.warn("spec.persistence.aof.fsync", "has no effect while aof.enabled is false", "remove it");
    }
}

fn volume(spec: Option<VolumeSpec>, findings: &mut Findings) -> Volume {
    let spec = spec.unwrap_or_default();
    let default = || defaults::VOLUME_SIZE.parse::<Quantity>().map_or(0, |size| size.units());
    let size = spec.size.as_ref().map_or_else(default, Quantity::units);
    if size < MIN_VOLUME {
        let message = format!("{size} bytes hold no data set");
        findings.fault(
            "spec.persistence.volume.size",
            message,
            "write 1Gi; M, Mi, G and Gi are bytes, m is thousandths",
        );
    }
    Volume {
        size,
        storage_class: spec.storage_class,
        access_mode: access_mode(spec.access_mode.unwrap_or(defaults::ACCESS_MODE)).to_owned(),
        keep_after_deletion: spec.keep_after_deletion.unwrap_or(defaults::KEEP_AFTER_DELETION),
    }
}

/// Less than this is a slip of the unit: the append-only file of an empty server and its rewrite fit in.
const MIN_VOLUME: u64 = 1 << 20;

fn access_mode(mode: AccessMode) -> &'static str {
    match mode {
        AccessMode::ReadWriteOnce => "ReadWriteOnce",
        AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
        AccessMode::ReadWriteMany => "ReadWriteMany",
    }
}

impl From<Fsync> for AofFsync {
    fn from(fsync: Fsync) -> Self {
        match fsync {
            Fsync::Always => Self::Always,
            Fsync::Everysec => Self::Everysec,
            Fsync::No => Self::No,
        }
    }
}
