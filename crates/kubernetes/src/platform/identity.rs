//! Who a set is and where its members are reached: each by a Service of its own, whose address outlives every pod.

use k8s_openapi::api::core::v1::Service;
use redoubt_api::{CheckedRedis, Key, ResourceKind};
use redoubt_engine::{
    Counts,
    platform::{Identity, MemberKind, PlatformError, Seat, Workload},
    set_config, template,
};
use redoubt_redis::Endpoint;
use redoubt_wire::config::{NodeEntry, SentinelEntry, sentinel_id};

use super::KubernetesPlatform;
use crate::{
    access::Effect,
    names::{Names, ports},
    objects::{self, Wanted},
    preflight::preflight,
    rival,
};

/// Stands for addresses that nobody has yet.
const NOWHERE: &str = "0.0.0.0";

impl KubernetesPlatform {
    /// From memory once all addresses are there. The first of them is made only when everything else would be
    /// accepted.
    pub(super) async fn addresses(&self, redis: &CheckedRedis) -> Result<Identity, PlatformError> {
        let key = &redis.key;
        let uid = self.uid(key).ok_or_else(|| gone(key))?;
        let counts = Counts::wanted(redis);
        let known = |name: &str| address_of(self.stores.service(key, name)?.as_ref());
        if let Some(identity) = identity(redis, &uid, counts, known) {
            return Ok(identity);
        }
        if self.stores.sets(key).is_empty() && !self.begin_takeover(redis, &uid).await? {
            let identity =
                identity(redis, &uid, counts, |_| Some(NOWHERE.to_owned())).ok_or_else(|| gone(key))?;
            let workload = Workload {
                redis: redis.clone(),
                nodes: counts.nodes,
                shards: counts.shards,
                sentinels: counts.sentinels,
                config: set_config(redis, &identity, counts),
                template: template(redis),
            };
            let first = counts.ordinals(MemberKind::Node).next().unwrap_or_default();
            if self.stores.service(key, &Names::of(key).address(MemberKind::Node, first)).is_none() {
                if key.kind == ResourceKind::RedisFailover {
                    rival::is_away(&self.cluster, key).await?;
                }
                preflight(&self.cluster, Wanted { workload: &workload, agent_image: &self.agent_image })
                    .await?;
            }
        }
        self.make_addresses(redis, &uid, counts).await
    }

    async fn make_addresses(
        &self,
        redis: &CheckedRedis,
        uid: &str,
        counts: Counts,
    ) -> Result<Identity, PlatformError> {
        let mut made = Vec::new();
        for service in objects::member_services(redis, uid, counts) {
            made.push(self.cluster.apply(&service, Effect::Real).await?);
        }
        let address = |name: &str| {
            address_of(made.iter().find(|service| service.metadata.name.as_deref() == Some(name))?)
        };
        identity(redis, uid, counts, address).ok_or_else(|| PlatformError {
            what: format!("the members of {} have no addresses", redis.key.name),
            why: "the API server gave a Service no address".to_owned(),
            next: "see whether Services of type ClusterIP work in this cluster".to_owned(),
        })
    }
}

fn gone(key: &Key) -> PlatformError {
    PlatformError {
        what: format!("cannot find addresses for {}", key.name),
        why: "the resource is gone".to_owned(),
        next: "nothing; what runs of it is being removed".to_owned(),
    }
}

/// Where the Service is reached.
fn address_of(service: &Service) -> Option<String> {
    let address = service.spec.as_ref()?.cluster_ip.clone()?;
    (!address.is_empty() && address != "None").then_some(address)
}

/// `None` if somebody has no address.
fn identity(
    redis: &CheckedRedis,
    uid: &str,
    counts: Counts,
    address: impl Fn(&str) -> Option<String>,
) -> Option<Identity> {
    let names = Names::of(&redis.key);
    let node = |ordinal| {
        let name = names.member(MemberKind::Node, ordinal);
        let host = address(&names.address(MemberKind::Node, ordinal))?;
        Some(NodeEntry {
            shard: Seat::of(ordinal).map(|seat| seat.shard),
            name,
            server: endpoint(&host, ports::REDIS),
            agent: endpoint(&host, names.agent_port()),
        })
    };
    let sentinel = |ordinal| {
        let name = names.member(MemberKind::Sentinel, ordinal);
        let host = address(&names.address(MemberKind::Sentinel, ordinal))?;
        Some(SentinelEntry {
            id: sentinel_id(uid, &name),
            name,
            server: endpoint(&host, ports::SENTINEL),
            agent: endpoint(&host, names.agent_port()),
        })
    };
    Some(Identity {
        uid: uid.to_owned(),
        nodes: counts.ordinals(MemberKind::Node).map(node).collect::<Option<_>>()?,
        sentinels: (0..counts.sentinels).map(sentinel).collect::<Option<_>>()?,
    })
}

fn endpoint(host: &str, port: i32) -> Endpoint {
    Endpoint::new(host, u16::try_from(port).unwrap_or_default())
}
