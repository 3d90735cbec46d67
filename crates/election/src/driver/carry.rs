//! One call of the machine, carried out.

use redoubt_redis::{
    Connection, Endpoint, Error, Mismatch, Value,
    info::{self, Info},
    sentinel::{HELLO_CHANNEL, MasterView, ReplicaView, SentinelView},
};
use tokio::time::timeout;

use super::links::Link;
use crate::{
    Clock,
    machine::{Answer, Ask, Call, NodeRole, NodeSight, Peer, SentinelSight, VoteReply},
};

/// Every server takes this when nothing else is said (`replica-priority`).
const DEFAULT_PRIORITY: u64 = 100;

/// Carries out a call, within its time. Never sends what is not to be sent any more.
pub(super) async fn carry_out(call: &Call, link: &Link, master_name: &str, clock: Clock) -> Answer {
    let asked = link.with(async |connection| {
        if call.not_after.is_some_and(|limit| clock.now() > limit) {
            return Ok(Answer::Lost("too late to be sent".to_owned()));
        }
        ask(&call.ask, connection, master_name).await
    });
    match timeout(call.within, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Error::Server { code, message, .. })) => Answer::Refused(format!("{code} {message}")),
        Ok(Err(error)) => Answer::Lost(error.to_string()),
        Err(_) => Answer::Lost(format!("{} did not answer within {:?}", link.endpoint(), call.within)),
    }
}

async fn ask(ask: &Ask, to: &mut Connection, master_name: &str) -> Result<Answer, Error> {
    match ask {
        Ask::Sentinel => look_at_sentinel(to, master_name).await.map(Answer::Sentinel),
        Ask::Node => look_at_node(to).await,
        Ask::Vote { master, epoch, candidate } => {
            let vote = to.sentinel_is_master_down_by_addr(master, *epoch, Some(candidate)).await?;
            Ok(Answer::Vote(VoteReply { leader: vote.leader, epoch: vote.leader_epoch }))
        }
        Ask::Pause { hold } => to.client_pause_write(*hold).await.map(|()| Answer::Done),
        Ask::Unpause => to.client_unpause().await.map(|()| Answer::Done),
        Ask::Promote { min_replicas } => {
            to.config_set(&[("min-replicas-to-write", &min_replicas.to_string())]).await?;
            to.replicaof(None).await?;
            look_at_node(to).await
        }
        Ask::Follow { master } => to.replicaof(Some(master)).await.map(|()| Answer::Done),
        Ask::Announce { hello } => {
            to.publish(HELLO_CHANNEL, hello).await?;
            to.sentinel_get_master_addr(master_name).await.map(Answer::Names)
        }
        Ask::Count => to.sentinel_get_master_addr(master_name).await.map(Answer::Names),
        Ask::AnnounceAtNode { hellos } => {
            for hello in hellos {
                to.publish(HELLO_CHANNEL, hello).await?;
            }
            Ok(Answer::Done)
        }
        Ask::Fence { min_replicas } => {
            to.config_set(&[("min-replicas-to-write", &min_replicas.to_string())]).await?;
            Ok(Answer::Done)
        }
        Ask::Release => {
            to.client_unpause().await?;
            to.client_kill_normal().await.map(|_| Answer::Done)
        }
        Ask::SentinelFailover => to.sentinel_failover(master_name).await.map(|()| Answer::Done),
    }
}

/// All in one go: between its parts the Sentinel does nothing else.
async fn look_at_sentinel(to: &mut Connection, name: &str) -> Result<SentinelSight, Error> {
    let asked = ["MASTER", "SENTINELS", "REPLICAS", "GET-MASTER-ADDR-BY-NAME"]
        .map(|what| vec!["SENTINEL", what, name]);
    let replies = to.pipeline(&asked).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let sight = <[Value; 4]>::try_from(replies)
        .map_err(|replies| Mismatch::new("four replies", replies.len().to_string()))
        .and_then(sentinel_sight);
    sight.map_err(|mismatch| Error::Unexpected {
        peer: to.peer().into(),
        command: "SENTINEL".to_owned(),
        mismatch,
    })
}

fn sentinel_sight([master, sentinels, replicas, names]: [Value; 4]) -> Result<SentinelSight, Mismatch> {
    let master = MasterView::from_value(master)?;
    let sentinels: Result<Vec<_>, _> =
        sentinels.into_array()?.into_iter().map(SentinelView::from_value).collect();
    let replicas: Result<Vec<_>, _> =
        replicas.into_array()?.into_iter().map(ReplicaView::from_value).collect();
    let names = match names.as_array()? {
        // While a failover is under way, this names the chosen replica before the view of the master does.
        [host, port] => Endpoint::new(host.as_str()?, port_of(port)?),
        other => return Err(Mismatch::new("host and port", format!("a list of {}", other.len()))),
    };
    Ok(SentinelSight {
        names,
        config_epoch: master.config_epoch,
        quorum: usize::try_from(master.quorum).unwrap_or(usize::MAX),
        failing_over: master.flags.failover_in_progress(),
        peers: sentinels?.into_iter().filter_map(peer).collect(),
        promoted: replicas?.into_iter().filter(|replica| replica.flags.promoted()).map(at).collect(),
    })
}

fn port_of(value: &Value) -> Result<u16, Mismatch> {
    u16::try_from(value.as_u64()?).map_err(|_| Mismatch::new("a port", value.describe()))
}

fn at(replica: ReplicaView) -> Endpoint {
    replica.endpoint
}

/// A Sentinel whose id is not known yet has never been heard, so it has no name to speak in.
fn peer(other: SentinelView) -> Option<Peer> {
    Some(Peer { id: other.id?, at: other.endpoint, voted_epoch: other.voted_leader_epoch.unwrap_or(0) })
}

async fn look_at_node(to: &mut Connection) -> Result<Answer, Error> {
    let info = to.info(None).await?;
    Ok(sight(&info).map_or_else(|| Answer::Refused("its INFO tells no role".to_owned()), Answer::Node))
}

fn sight(info: &Info) -> Option<NodeSight> {
    let replication = info.replication().ok()?;
    let offset = replication.offset();
    let role = match replication.role {
        info::NodeRole::Master => NodeRole::Master,
        info::NodeRole::Replica => {
            NodeRole::Replica { of: replication.master?, link_up: replication.link_up.unwrap_or(false) }
        }
    };
    let attached = replication.replicas.iter().filter(|replica| replica.is_online()).count();
    let persistence = info.persistence();
    let loading = persistence.loading.unwrap_or(false);
    Some(NodeSight {
        role,
        replid: replication.master_replid,
        replid2: replication.master_replid2.filter(|id| id.bytes().any(|digit| digit != b'0')),
        offset,
        priority: replication.priority.map_or(DEFAULT_PRIORITY, u64::from),
        incomplete: loading || replication.syncing.unwrap_or(false),
        unwritable: persistence.unwritten().is_some(),
        attached,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_in_a_full_copy_is_incomplete() {
        let text = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:1\r\nmaster_link_status:down\r\n\
                    master_sync_in_progress:1\r\nslave_repl_offset:7\r\nslave_priority:0\r\nmaster_replid:abc\r\n\
                    master_replid2:0000\r\nmaster_repl_offset:0\r\n";
        let sight = sight(&Info::parse(text)).unwrap();
        assert!(sight.incomplete && !sight.link_up());
        assert_eq!((sight.priority, sight.replid2.as_deref()), (0, None));
    }
}
