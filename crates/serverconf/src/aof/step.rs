//! The next step towards what is wanted.

use super::{AofFiles, Disk, Fingerprint, Holds};

/// What the running server says of its persistence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "INFO has so many flags")]
pub struct View {
    /// It reads its files, or a copy from its master.
    pub loading: bool,
    /// The AOF is on.
    pub aof_on: bool,
    /// The AOF is being rewritten, or will be when a save has ended.
    pub rewriting: bool,
    /// The last rewrite succeeded.
    pub rewrite_ok: bool,
    /// A save is under way.
    pub saving: bool,
    /// The last save succeeded.
    pub save_ok: bool,
}

/// One step. Each can be cut off at any point and made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is as wanted.
    Done,
    /// The server is busy with this.
    Wait(&'static str),
    /// The server failed at this, and must be made to try again.
    Failed(&'static str),
    /// Store this record.
    Record(Holds),
    /// CONFIG SET appendonly.
    Switch(bool),
    /// BGSAVE.
    Save,
    /// Remove the AOF of before.
    RemoveAof,
}

/// The next step. Pure: the same situation gives the same step, whatever led to it.
#[must_use]
pub fn next(wanted: bool, holds: &Holds, view: View, disk: &Disk) -> Step {
    if view.loading {
        return Step::Wait("loading");
    }
    match holds {
        Holds::Rdb { remove_aof: true } if !view.aof_on && disk.aof.is_some() => Step::RemoveAof,
        Holds::Rdb { remove_aof: true } => Step::Record(Holds::Rdb { remove_aof: false }),
        // Somebody else turned it on, and it is whole.
        Holds::Rdb { .. }
            if wanted && view.aof_on && whole(disk).is_some() && keep_on(view) == Step::Done =>
        {
            Step::Record(Holds::Aof)
        }
        Holds::Rdb { .. } if wanted => Step::Record(Holds::TurningOn { aof_before: aof(disk) }),
        Holds::Rdb { .. } if view.aof_on => Step::Switch(false),
        Holds::Rdb { .. } => Step::Done,
        Holds::TurningOn { aof_before } => turning_on(aof_before.as_ref(), view, disk),
        Holds::Saved { .. } => Step::Record(Holds::Aof),
        Holds::Aof if wanted && view.aof_on => Step::Done,
        Holds::Aof if wanted => Step::Switch(true),
        // An RDB whose save began while the AOF was on lacks what the AOF has; none may be on its way when it goes off.
        Holds::Aof if view.saving => Step::Wait("the save that was under way"),
        Holds::Aof if view.aof_on => Step::Switch(false),
        Holds::Aof => Step::Record(Holds::TurningOff { rdb_before: rdb(disk) }),
        Holds::TurningOff { rdb_before } => turning_off(rdb_before.as_ref(), view, disk),
    }
}

fn turning_on(before: Option<&Fingerprint>, view: View, disk: &Disk) -> Step {
    match keep_on(view) {
        Step::Done => match whole(disk) {
            Some(aof) if Some(&aof.fingerprint) != before => Step::Record(Holds::Aof),
            _ => Step::Failed("to write the append-only file into its folder"),
        },
        step => step,
    }
}

/// The AOF is on, and whole.
fn keep_on(view: View) -> Step {
    match view {
        View { aof_on: false, .. } => Step::Switch(true),
        View { rewriting: true, .. } => Step::Wait("the rewrite of the append-only file"),
        View { rewrite_ok: false, .. } => Step::Failed("to rewrite the append-only file"),
        _ => Step::Done,
    }
}

fn turning_off(before: Option<&Fingerprint>, view: View, disk: &Disk) -> Step {
    // Somebody turned it on again: it is rewritten from what is in memory, and holds the data when that is done.
    if view.aof_on {
        return match keep_on(view) {
            Step::Done => Step::Record(Holds::Aof),
            step => step,
        };
    }
    let saved = rdb(disk).is_some() && rdb(disk).as_ref() != before;
    match view {
        _ if saved => Step::Record(Holds::Rdb { remove_aof: true }),
        View { saving: true, .. } => Step::Wait("the save"),
        _ => Step::Save,
    }
}

fn whole(disk: &Disk) -> Option<&AofFiles> {
    disk.aof.as_ref().filter(|aof| aof.whole)
}

fn aof(disk: &Disk) -> Option<Fingerprint> {
    disk.aof.as_ref().map(|aof| aof.fingerprint.clone())
}

fn rdb(disk: &Disk) -> Option<Fingerprint> {
    disk.rdb.as_ref().map(|rdb| rdb.fingerprint.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aof::RdbFile;

    const QUIET: View = View {
        loading: false,
        aof_on: false,
        rewriting: false,
        rewrite_ok: true,
        saving: false,
        save_ok: true,
    };
    const ON: View = View { aof_on: true, ..QUIET };

    fn id(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes(), 0)
    }

    fn disk(rdb: Option<&str>, aof: Option<&str>) -> Disk {
        Disk {
            rdb: rdb.map(|name| RdbFile { fingerprint: id(name), saved_at: None }),
            aof: aof.map(|name| AofFiles { fingerprint: id(name), whole: true, written_at: None }),
            aof_too_new: false,
        }
    }

    const RDB: Holds = Holds::Rdb { remove_aof: false };

    #[test]
    fn the_way_on() {
        let turning = || Holds::TurningOn { aof_before: Some(id("old")) };
        let step = |holds: &Holds, view: View, aof| next(true, holds, view, &disk(Some("r"), aof));
        assert_eq!(step(&RDB, QUIET, Some("old")), Step::Record(turning()));
        assert_eq!(step(&turning(), QUIET, Some("old")), Step::Switch(true));
        let rewriting = View { rewriting: true, ..ON };
        assert!(matches!(step(&turning(), rewriting, Some("old")), Step::Wait(_)));
        assert!(matches!(step(&turning(), View { rewrite_ok: false, ..ON }, Some("old")), Step::Failed(_)));
        assert!(matches!(step(&turning(), ON, Some("old")), Step::Failed(_)), "not in this folder");
        assert_eq!(step(&turning(), ON, Some("new")), Step::Record(Holds::Aof));
        assert_eq!(step(&Holds::Aof, ON, Some("new")), Step::Done);
        assert_eq!(step(&RDB, ON, Some("new")), Step::Record(Holds::Aof), "somebody else did it");
        let saved = Holds::Saved { rdb: id("r") };
        assert_eq!(step(&saved, ON, Some("new")), Step::Record(Holds::Aof), "started by somebody else");
        assert_eq!(step(&Holds::Aof, QUIET, Some("new")), Step::Switch(true), "somebody else undid it");
    }

    #[test]
    fn the_way_off() {
        let turning = || Holds::TurningOff { rdb_before: Some(id("old")) };
        let step = |holds: &Holds, view: View, rdb| next(false, holds, view, &disk(rdb, Some("a")));
        let saving = View { saving: true, ..QUIET };
        assert!(matches!(step(&Holds::Aof, View { saving: true, ..ON }, Some("old")), Step::Wait(_)));
        assert_eq!(step(&Holds::Aof, ON, Some("old")), Step::Switch(false));
        assert!(matches!(step(&Holds::Aof, saving, Some("old")), Step::Wait(_)));
        assert_eq!(step(&Holds::Aof, QUIET, Some("old")), Step::Record(turning()));
        assert_eq!(step(&turning(), QUIET, Some("old")), Step::Save);
        assert!(matches!(step(&turning(), saving, Some("old")), Step::Wait(_)));
        assert_eq!(step(&turning(), QUIET, None), Step::Save);
        let remove = Holds::Rdb { remove_aof: true };
        assert_eq!(step(&turning(), QUIET, Some("new")), Step::Record(remove.clone()));
        assert_eq!(step(&remove, QUIET, Some("new")), Step::RemoveAof);
        assert_eq!(next(false, &remove, QUIET, &disk(Some("new"), None)), Step::Record(RDB));
        assert_eq!(step(&RDB, QUIET, Some("new")), Step::Done, "an AOF that was not ours to turn off stays");
        assert_eq!(step(&RDB, ON, Some("new")), Step::Switch(false));
    }

    #[test]
    fn a_change_of_mind_waits_for_the_end_of_the_way() {
        let turning_off = Holds::TurningOff { rdb_before: None };
        assert_eq!(next(true, &turning_off, QUIET, &disk(None, Some("a"))), Step::Save);
        let turning_on = Holds::TurningOn { aof_before: None };
        assert_eq!(next(false, &turning_on, ON, &disk(None, Some("a"))), Step::Record(Holds::Aof));
    }

    #[test]
    fn a_server_that_loads_is_left_alone() {
        for holds in
            [RDB, Holds::Aof, Holds::TurningOn { aof_before: None }, Holds::TurningOff { rdb_before: None }]
        {
            for wanted in [false, true] {
                let view = View { loading: true, ..ON };
                assert!(matches!(next(wanted, &holds, view, &disk(None, None)), Step::Wait(_)));
            }
        }
    }
}
