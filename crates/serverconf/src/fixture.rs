//! What the tests of this room share.

#[path = "../tests/real/set.rs"]
mod set;

use redoubt_wire::config::SetConfig;
pub(crate) use set::secrets;

use crate::{Epochs, NodeLaunch, SentinelLaunch, Start};

pub(crate) fn set(nodes: usize, sentinels: usize) -> SetConfig {
    let mut set = set::set_at("127.0.0", nodes, sentinels);
    if let redoubt_wire::config::Topology::Sentinel(config) = &mut set.topology {
        // Sentinels keep their address when nodes come and go.
        for (number, entry) in config.sentinels.iter_mut().enumerate() {
            entry.server.host = format!("127.0.1.{}", number + 1);
        }
    }
    set
}

pub(crate) fn node_launch() -> NodeLaunch {
    NodeLaunch {
        bind: "127.0.0.1".to_owned(),
        data_dir: "/srv/data".into(),
        start: Start::Master,
        aof_in_file: true,
        min_replicas_to_write: 1,
    }
}

pub(crate) fn sentinel_launch() -> SentinelLaunch {
    SentinelLaunch {
        bind: "127.0.1.1".to_owned(),
        data_dir: "/srv/sentinel".into(),
        master: set(1, 0).nodes[0].server.clone(),
        epochs: Epochs { current: 7, config: 6, leader: 7 },
    }
}
