//! `nodes.conf`, read while no server runs: who this node was in the cluster.

use std::{fs, io, path::Path};

use redoubt_redis::cluster::{ClusterNodes, SLOTS, SlotSet};
use redoubt_serverconf::CLUSTER_MEMORY;

/// Who this node was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Its id.
    pub(crate) id: String,
    /// The slots it owned.
    pub(crate) slots: SlotSet,
    /// It followed a master.
    pub(crate) follows: bool,
    /// Every slot had an owner.
    pub(crate) whole: bool,
}

/// Reads it. Nothing, where there is no file, or one that no server has written into yet.
pub(crate) fn load(dir: &Path) -> io::Result<Option<Memory>> {
    match fs::read_to_string(dir.join(CLUSTER_MEMORY)) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lines of CLUSTER NODES, and one of variables.
fn parse(text: &str) -> io::Result<Option<Memory>> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("vars ")).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return Ok(None);
    }
    let nodes = ClusterNodes::parse(&lines.join("\n")).map_err(io::Error::other)?;
    let follows = nodes.myself.master.is_some();
    let owned: SlotSet = nodes.all().flat_map(|node| node.slots.iter()).collect();
    let whole = owned.len() == usize::from(SLOTS);
    let id = nodes.myself.id.to_string();
    Ok(Some(Memory { id, slots: nodes.myself.slots, follows, whole }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: &str = "b3495165167babd2d9935b99e239ae5d3634be57 127.3.9.1:6379@16379,,shard-id=89 myself,master - 0 0 2 connected 0-5460\n07c37dfeb235213a872192d90877d0cd55635b91 127.3.9.2:6379@16379 slave b3495165167babd2d9935b99e239ae5d3634be57 0 1 2 connected\nvars currentEpoch 6 lastVoteEpoch 0\n";

    #[test]
    fn what_a_server_wrote_says_who_it_was() {
        let memory = parse(MASTER).unwrap().unwrap();
        assert_eq!(
            (memory.slots.to_string().as_str(), memory.follows, memory.whole),
            ("0-5460", false, false)
        );
        let whole = MASTER.replace("0-5460", "0-16383");
        assert!(parse(&whole).unwrap().unwrap().whole);
        let replica = MASTER.replace("myself,", "").replace(" slave ", " myself,slave ");
        let memory = parse(&replica).unwrap().unwrap();
        assert!(memory.slots.is_empty() && memory.follows);
    }

    #[test]
    fn a_file_that_was_never_written_is_no_memory_and_one_that_is_damaged_no_blank() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), None);
        fs::write(dir.path().join(CLUSTER_MEMORY), "").unwrap();
        assert_eq!(load(dir.path()).unwrap(), None);
        fs::write(dir.path().join(CLUSTER_MEMORY), &MASTER[..60]).unwrap();
        assert!(load(dir.path()).is_err());
    }
}
