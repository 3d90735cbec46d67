//! What a starting server has to load.

use super::{AofFiles, Disk, Fingerprint, Holds, RdbFile};

/// As what a server starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartsAs {
    /// It is not decided yet: what the files hold is needed for that.
    Undecided,
    /// It may lead, now or without ever having been in sync: what it has is all there is.
    Master,
    /// It follows a master that serves. Only an RDB tells a server where its data stands in the master's history
    /// (rdb.c `rdbSaveInfoAuxFields`; an AOF does not), so that the difference is copied instead of everything.
    Replica,
}

/// What a starting server has to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtStart {
    /// The record to be stored before the start: `Rdb` or `Aof`, or `Saved` while it is undecided.
    /// [`Holds::aof_in_file`] is what the configuration says.
    pub holds: Holds,
    /// The files that held the data are gone; what is loaded instead may be older, or nothing.
    pub lost: bool,
}

/// The data is there, and this server cannot read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the data is in an append-only file of Redis 7 or later, which this older server would not see; start it with a newer one"
)]
pub struct Unloadable;

/// The rule. It never has a server load an old file while there is a newer one, or come up empty while there is any;
/// with `wanted` and nothing on the disk the AOF is on from the first write.
pub fn at_start(
    record: Option<&Holds>,
    disk: &Disk,
    wanted: bool,
    starts_as: StartsAs,
) -> Result<AtStart, Unloadable> {
    let rdb_in_file = Holds::Rdb { remove_aof: false };
    let whole_aof = disk.aof.as_ref().filter(|aof| aof.whole);
    let holds = match record {
        _ if disk.is_empty() => return Ok(nothing(record, wanted)),
        None => judge(disk.rdb.as_ref(), whole_aof),
        Some(Holds::Rdb { remove_aof }) => Holds::Rdb { remove_aof: *remove_aof },
        // A whole AOF that was not there before has all that the RDB has, and what was written since.
        Some(Holds::TurningOn { aof_before }) => match whole_aof {
            Some(aof) if Some(&aof.fingerprint) != aof_before.as_ref() => Holds::Aof,
            _ => rdb_in_file.clone(),
        },
        Some(Holds::TurningOff { rdb_before }) => match &disk.rdb {
            Some(rdb) if Some(&rdb.fingerprint) != rdb_before.as_ref() => Holds::Rdb { remove_aof: true },
            _ => Holds::Aof,
        },
        Some(Holds::Saved { rdb }) if is_still_saved(rdb, disk) => match starts_as {
            StartsAs::Undecided => Holds::Saved { rdb: rdb.clone() },
            StartsAs::Master => Holds::Aof,
            // Its AOF is written anew as soon as it is in sync.
            StartsAs::Replica => Holds::Rdb { remove_aof: true },
        },
        Some(Holds::Aof | Holds::Saved { .. }) => Holds::Aof,
    };
    match holds {
        Holds::Aof if whole_aof.is_some() => Ok(AtStart { holds, lost: false }),
        Holds::Aof if disk.aof_too_new => Err(Unloadable),
        // Rather an old RDB than nothing, if there is one.
        Holds::Aof => Ok(AtStart { holds: rdb_in_file, lost: true }),
        Holds::Rdb { .. } if disk.rdb.is_none() && whole_aof.is_some() => {
            Ok(AtStart { holds: Holds::Aof, lost: true })
        }
        Holds::Rdb { .. } if disk.rdb.is_none() && disk.aof_too_new => Err(Unloadable),
        holds => Ok(AtStart { holds, lost: false }),
    }
}

/// The RDB is the one that was saved last, and nothing was appended after it.
fn is_still_saved(saved: &Fingerprint, disk: &Disk) -> bool {
    let (Some(rdb), Some(aof)) = (&disk.rdb, &disk.aof) else { return false };
    let in_order = rdb.saved_at.zip(aof.written_at).is_some_and(|(saved, written)| written <= saved);
    aof.whole && rdb.fingerprint == *saved && in_order
}

/// Nothing on the disk: nothing to be careful with.
fn nothing(record: Option<&Holds>, wanted: bool) -> AtStart {
    let holds = if wanted { Holds::Aof } else { Holds::Rdb { remove_aof: false } };
    AtStart { holds, lost: record.is_some() }
}

/// Files without a record: from elsewhere, or of a server that ran without us. With AOF on it is written to after a
/// save has begun; one that was not is a leftover, or has nothing that the RDB has not.
fn judge(rdb: Option<&RdbFile>, aof: Option<&AofFiles>) -> Holds {
    let newer_rdb = match (rdb, aof) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(rdb), Some(aof)) => rdb.saved_at > aof.written_at,
    };
    if newer_rdb { Holds::Rdb { remove_aof: false } } else { Holds::Aof }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aof::Fingerprint;

    fn id(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes(), 0)
    }

    /// `r` is an RDB, `a` an AOF, `e` one that is not whole, `n` one that is too new.
    fn disk(files: &str) -> Disk {
        let has = |file| files.contains(file);
        let aof = |whole| AofFiles { fingerprint: id("a"), whole, written_at: Some(100) };
        Disk {
            rdb: has('r').then(|| RdbFile { fingerprint: id("r"), saved_at: Some(100) }),
            aof: has('a').then(|| aof(true)).or(has('e').then(|| aof(false))),
            aof_too_new: has('n'),
        }
    }

    fn told(record: Option<&Holds>, files: &str, wanted: bool) -> String {
        match at_start(record, &disk(files), wanted, StartsAs::Undecided) {
            Err(Unloadable) => "unloadable".to_owned(),
            Ok(AtStart { holds, lost }) => {
                let file = if holds.aof_in_file() { "aof" } else { "rdb" };
                format!("{file}{}", if lost { ", lost" } else { "" })
            }
        }
    }

    #[test]
    fn the_record_decides_and_no_data_is_passed_over() {
        let rdb = Holds::Rdb { remove_aof: false };
        let on = |before: Option<&str>| Holds::TurningOn { aof_before: before.map(id) };
        let off = |before: Option<&str>| Holds::TurningOff { rdb_before: before.map(id) };
        for (record, files, expected) in [
            (&rdb, "r", "rdb"),
            (&rdb, "ra", "rdb"),
            (&rdb, "a", "aof, lost"),
            (&rdb, "n", "unloadable"),
            (&Holds::Aof, "ra", "aof"),
            (&Holds::Aof, "a", "aof"),
            (&Holds::Aof, "r", "rdb, lost"),
            (&Holds::Aof, "re", "rdb, lost"),
            (&Holds::Aof, "rn", "unloadable"),
            (&on(None), "r", "rdb"),
            (&on(None), "re", "rdb"),
            (&on(None), "ra", "aof"),
            (&on(Some("a")), "ra", "rdb"),
            (&on(Some("before")), "ra", "aof"),
            (&off(None), "a", "aof"),
            (&off(None), "ra", "rdb"),
            (&off(Some("r")), "ra", "aof"),
            (&off(Some("before")), "ra", "rdb"),
            (&off(Some("before")), "a", "aof"),
        ] {
            for wanted in [false, true] {
                assert_eq!(told(Some(record), files, wanted), expected, "{record:?} {files}");
            }
        }
    }

    #[test]
    fn an_empty_folder_starts_as_wanted() {
        assert_eq!(told(None, "", true), "aof");
        assert_eq!(told(None, "", false), "rdb");
        assert_eq!(told(Some(&Holds::Aof), "", true), "aof, lost");
        assert_eq!(told(Some(&Holds::Aof), "", false), "rdb, lost");
    }

    #[test]
    fn without_a_record_the_newer_file_counts() {
        for wanted in [false, true] {
            assert_eq!(told(None, "r", wanted), "rdb");
            assert_eq!(told(None, "a", wanted), "aof");
            assert_eq!(told(None, "ra", wanted), "aof", "written in the second in which the save began");
            assert_eq!(told(None, "rn", wanted), "rdb");
            let mut leftover = disk("ra");
            leftover.rdb.as_mut().unwrap().saved_at = Some(101);
            let at_start = at_start(None, &leftover, wanted, StartsAs::Master).unwrap();
            assert!(!at_start.holds.aof_in_file());
        }
    }

    #[test]
    fn what_was_saved_last_is_for_those_who_follow() {
        use StartsAs::{Master, Replica, Undecided};
        let saved = Holds::Saved { rdb: id("r") };
        let file = |disk: &Disk, starts_as| {
            let at_start = at_start(Some(&saved), disk, true, starts_as).unwrap();
            if at_start.holds.aof_in_file() { "aof" } else { "rdb" }
        };
        let whole = disk("ra");
        assert_eq!([Undecided, Master, Replica].map(|start| file(&whole, start)), ["aof", "aof", "rdb"]);
        let told = at_start(Some(&saved), &whole, true, Undecided).unwrap();
        assert_eq!(told.holds, saved, "to ask changes nothing");
        let mut appended = whole.clone();
        appended.aof.as_mut().unwrap().written_at = Some(101);
        let mut another = whole.clone();
        another.rdb.as_mut().unwrap().fingerprint = id("another");
        let mut undated = whole;
        undated.rdb.as_mut().unwrap().saved_at = None;
        for disk in [appended, another, undated, disk("a"), disk("re")] {
            let expected = if disk.aof.as_ref().is_some_and(|aof| aof.whole) { "aof" } else { "rdb" };
            assert_eq!(file(&disk, Replica), expected, "{disk:?}");
        }
    }
}
