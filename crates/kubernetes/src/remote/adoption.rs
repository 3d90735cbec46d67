//! Looks at everything that the old operator made of a `RedisFailover`. Reads only.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use redoubt_api::{ADOPT, Key, PASSWORD_KEY, ResourceKind, failover::RedisFailover};
use redoubt_engine::platform::MemberKind;
use redoubt_redis::{
    Connection, Connector, Credentials, Endpoint, Error, Mismatch, Value, sentinel::MasterView,
};
use secrecy::SecretString;
use serde_json::json;

use super::{Remote, RemoteError, Tunnel, is_failover, port};
use crate::{
    access::{Kind, resource_of},
    adopt::{
        Adoption,
        found::{Found, Live, Server, Watcher},
        judge, map_names,
    },
    definition::Definition,
    error::{is_conflict, is_forbidden},
    feed,
    names::{Names, ports},
    rival,
};

/// By way of API server and kubelet, over an ocean.
const ANSWER: Duration = Duration::from_secs(10);
/// The operator may write the status at the same moment, again and again while it waits for the old one to end.
const TRIES: u32 = 5;
/// Under which name Sentinels know the master, unless the resource says otherwise.
const MASTER_NAME: &str = "mymaster";

/// How a pod is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By way of the API server.
    Tunnel,
    /// At its address.
    Direct,
}

impl Remote {
    /// What taking this `RedisFailover` over would change, and what stands in the way. Changes nothing.
    pub async fn adoption(&self, name: &str) -> Result<Adoption, RemoteError> {
        self.adoption_by(name, Reach::Tunnel).await
    }

    /// Has the operator take it over: writes down what only the servers' memory has, and that its user agrees. Refused if
    /// the resource is another one by now than was judged, or asks for something else.
    pub async fn adopt(&self, adoption: &Adoption) -> Result<(), RemoteError> {
        let key = Key::failover(&self.namespace, &adoption.name);
        let mut again = 1..TRIES;
        loop {
            let object = self.object(&key).await?;
            if object.uid().as_deref() != Some(&adoption.uid)
                || object.metadata.generation != adoption.generation
            {
                return Err(changed(&key.name));
            }
            match self.agree(&key, &object, adoption).await {
                Err(error) if is_conflict(&error) && again.next().is_some() => {}
                agreed => {
                    let what = format!("the RedisFailover {} cannot be changed", key.name);
                    return agreed.map_err(|error| self.refused(what, &error));
                }
            }
        }
    }

    async fn agree(&self, key: &Key, object: &DynamicObject, adoption: &Adoption) -> Result<(), kube::Error> {
        let said = object.data.pointer("/spec/redis/customConfig").and_then(|config| config.as_array());
        let more = adoption.unwritten.iter().map(|entry| json!(entry));
        let custom: Vec<_> = said.into_iter().flatten().cloned().chain(more).collect();
        let mut change = json!({ "metadata": {
            "annotations": { ADOPT: "true" },
            "resourceVersion": object.resource_version(),
        } });
        if !adoption.unwritten.is_empty() {
            change["spec"] = json!({ "redis": { "customConfig": custom } });
        }
        let api = self.api_of(key.kind);
        api.patch(&key.name, &PatchParams::default(), &Patch::Merge(change)).await.map(drop)
    }

    pub(crate) async fn adoption_by(&self, name: &str, reach: Reach) -> Result<Adoption, RemoteError> {
        let key = match name.split_once('/') {
            Some((kind, name)) if is_failover(kind) => Key::failover(&self.namespace, name),
            None => Key::failover(&self.namespace, name),
            Some(_) => {
                let why = "it is no RedisFailover".to_owned();
                return Err(RemoteError::Unfit { what: name.to_owned(), why });
            }
        };
        let object = self.object(&key).await?;
        let failover = feed::read_failover(&object).map_err(|faults| RemoteError::Unfit {
            what: format!("the RedisFailover {}", key.name),
            why: faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        })?;
        let nodes = self.get::<StatefulSet>(&Names::of(&key).nodes()).await?;
        let sentinels = self.get::<Deployment>(&Names::of(&key).sentinels()).await?;
        let login = self.login(&failover).await?;
        let found = Found {
            uid: object.uid().unwrap_or_default(),
            generation: object.metadata.generation,
            neighbours: self.neighbours().await?,
            at_work: self.at_work().await?,
            has_status: self.has_status().await?,
            servers: self.servers(&key, login, reach).await?,
            watchers: self.watchers(&key, &failover, reach).await?,
            claims: self.claims(&key, nodes.as_ref()).await?,
            services: self.services(&key).await?,
            maps: self.maps(&key.name).await?,
            failover,
            nodes,
            sentinels,
        };
        Ok(judge(&found))
    }

    async fn neighbours(&self) -> Result<BTreeSet<String>, RemoteError> {
        let listed = self.api_of(ResourceKind::RedisFailover).list(&ListParams::default()).await;
        let listed = listed.map_err(|error| self.refused("the RedisFailovers cannot be listed", &error))?;
        Ok(listed.items.iter().map(ResourceExt::name_any).collect())
    }

    /// Who may not look everywhere cannot say that nobody is at work.
    async fn at_work(&self) -> Result<Vec<String>, RemoteError> {
        match rival::at_work(&self.client).await {
            Ok(at_work) => Ok(at_work),
            Err(error) if is_forbidden(&error) => {
                Ok(vec![format!("or so it may be, you may not look in all namespaces ({error})")])
            }
            Err(error) => Err(self.refused("cannot see whether the old operator still works", &error)),
        }
    }

    /// Who may not look at definitions is told nothing about it.
    async fn has_status(&self) -> Result<bool, RemoteError> {
        let resource = resource_of(ResourceKind::RedisFailover);
        let name = format!("{}.{}", resource.plural, resource.group);
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        match api.get_opt(&name).await {
            Ok(found) => Ok(Definition::of(found.as_ref(), &resource.version) == Definition::WithStatus),
            Err(error) if is_forbidden(&error) => Ok(true),
            Err(error) => Err(self.refused(format!("the definition {name} cannot be read"), &error)),
        }
    }

    /// As the application logs in.
    async fn login(&self, failover: &RedisFailover) -> Result<Option<Credentials>, RemoteError> {
        let Some(name) = failover.spec.auth.secret_path.as_deref().filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let what = format!("the Secret {name} of spec.auth");
        let unfit = |why: &str| RemoteError::Unfit { what: what.clone(), why: why.to_owned() };
        let secret = self.get::<Secret>(name).await?.ok_or_else(|| unfit("there is none"))?;
        let password = secret.data.unwrap_or_default().remove(PASSWORD_KEY);
        let password = password.ok_or_else(|| unfit("it has no key password"))?;
        let password = String::from_utf8(password.0).map_err(|_| unfit("its password is no text"))?;
        Ok(Some(Credentials { user: None, password: SecretString::from(password) }))
    }

    async fn servers(
        &self,
        key: &Key,
        login: Option<Credentials>,
        reach: Reach,
    ) -> Result<Vec<Server>, RemoteError> {
        let connector = Connector::new(login, ANSWER);
        let pods = self.members(key, MemberKind::Node).await?;
        let mut servers = Vec::new();
        for pod in &pods {
            let live = self.live(pod, reach, &connector).await;
            servers.push(Server { pod: pod.name_any(), address: address(pod), live });
        }
        Ok(servers)
    }

    async fn live(&self, pod: &Pod, reach: Reach, connector: &Connector) -> Result<Live, String> {
        let way = self.way(pod, ports::REDIS, reach).await?;
        let asked = async { live(&mut connector.connect(&way.to).await?).await };
        asked.await.map_err(|error| way.fault(&error))
    }

    async fn watchers(
        &self,
        key: &Key,
        failover: &RedisFailover,
        reach: Reach,
    ) -> Result<Vec<Watcher>, RemoteError> {
        let own = failover.spec.sentinel.disable_my_master == Some(true);
        let master = if own { key.name.as_str() } else { MASTER_NAME };
        let pods = self.members(key, MemberKind::Sentinel).await?;
        let mut watchers = Vec::new();
        for pod in &pods {
            watchers.push(Watcher { pod: pod.name_any(), view: self.view(pod, reach, master).await });
        }
        Ok(watchers)
    }

    async fn view(&self, pod: &Pod, reach: Reach, master: &str) -> Result<MasterView, String> {
        let way = self.way(pod, ports::SENTINEL, reach).await?;
        let connector = Connector::new(None, ANSWER);
        let asked = async { connector.connect(&way.to).await?.sentinel_master(master).await };
        asked.await.map_err(|error| way.fault(&error))
    }

    async fn way(&self, pod: &Pod, number: i32, reach: Reach) -> Result<WayTo, String> {
        if reach == Reach::Direct {
            return Ok(WayTo { to: Endpoint::new(address(pod), port(number)), tunnel: None });
        }
        let tunnel = self.tunnel(&pod.name_any(), port(number)).await.map_err(|error| error.to_string())?;
        Ok(WayTo { to: tunnel.endpoint().clone(), tunnel: Some(tunnel) })
    }

    /// By the labels of the old operator, which are Redoubt's.
    async fn members(&self, key: &Key, kind: MemberKind) -> Result<Vec<Pod>, RemoteError> {
        let selector = Names::of(key).selector(kind);
        let pairs: Vec<String> = selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let listed = self.api::<Pod>().list(&ListParams::default().labels(&pairs.join(","))).await;
        let mut pods = listed.map_err(|error| self.refused("the pods cannot be listed", &error))?.items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods.sort_by_key(ResourceExt::name_any);
        Ok(pods)
    }

    async fn claims(
        &self,
        key: &Key,
        nodes: Option<&StatefulSet>,
    ) -> Result<Vec<PersistentVolumeClaim>, RemoteError> {
        let templates = nodes.and_then(|set| set.spec.as_ref()?.volume_claim_templates.as_ref());
        let names: Vec<String> = templates
            .into_iter()
            .flatten()
            .map(|claim| format!("{}-{}-", claim.name_any(), Names::of(key).nodes()))
            .collect();
        let is_one = |claim: &PersistentVolumeClaim| {
            let name = claim.name_any();
            let ordinal = names.iter().find_map(|prefix| name.strip_prefix(prefix.as_str()));
            ordinal.is_some_and(|ordinal| ordinal.parse::<u32>().is_ok())
        };
        let mut claims = self.list::<PersistentVolumeClaim>("the volume claims").await?;
        claims.retain(is_one);
        Ok(claims)
    }

    async fn services(&self, key: &Key) -> Result<BTreeSet<String>, RemoteError> {
        let names = Names::of(key);
        let own = [names.nodes(), names.sentinels(), names.master(), names.replicas()];
        let listed = self.list::<Service>("the Services").await?;
        Ok(listed.iter().map(ResourceExt::name_any).filter(|name| own.contains(name)).collect())
    }

    async fn maps(&self, name: &str) -> Result<Vec<ConfigMap>, RemoteError> {
        let own = map_names(name);
        let mut listed = self.list::<ConfigMap>("the ConfigMaps").await?;
        listed.retain(|map| own.contains(&map.name_any()));
        Ok(listed)
    }

    async fn list<K: Kind>(&self, what: &str) -> Result<Vec<K>, RemoteError> {
        let listed = self.api::<K>().list(&ListParams::default()).await;
        listed
            .map(|list| list.items)
            .map_err(|error| self.refused(format!("{what} cannot be listed"), &error))
    }

    async fn get<K: Kind>(&self, name: &str) -> Result<Option<K>, RemoteError> {
        let got = self.api::<K>().get_opt(name).await;
        got.map_err(|error| self.refused(format!("the {} {name} cannot be read", K::kind(&())), &error))
    }
}

/// The way to a port of a pod.
struct WayTo {
    to: Endpoint,
    tunnel: Option<Tunnel>,
}

impl WayTo {
    /// Why nobody answered there, for people.
    fn fault(&self, error: &Error) -> String {
        self.tunnel.as_ref().and_then(Tunnel::fault).unwrap_or_else(|| error.to_string())
    }
}

fn changed(name: &str) -> RemoteError {
    RemoteError::Refused {
        what: format!("the RedisFailover {name} is not taken over"),
        why: "somebody has changed it since it was looked at".to_owned(),
        next: format!("look again: `redoubt adopt redisfailover/{name}`"),
    }
}

fn address(pod: &Pod) -> String {
    pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default()
}

async fn live(connection: &mut Connection) -> Result<Live, Error> {
    let info = connection.info(None).await?;
    let users = connection.call_as(&["ACL", "USERS"], texts).await?.into_iter().collect();
    let modules = connection.call_as(&["MODULE", "LIST"], modules).await?;
    Ok(Live {
        version: info.version(),
        replication: connection.replication().await?,
        keys: info.keys(),
        config: connection.config_get("*").await?,
        users,
        modules,
    })
}

fn texts(reply: Value) -> Result<Vec<String>, Mismatch> {
    reply.into_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Each is a list of names and values.
fn modules(reply: Value) -> Result<Vec<String>, Mismatch> {
    let name = |module: Value| {
        let pairs = module.into_pairs()?;
        let name = pairs.iter().find(|(key, _)| key.as_str() == Ok("name"));
        name.map_or(Ok(String::new()), |(_, name)| name.as_str().map(str::to_owned))
    };
    reply.into_array()?.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Json, Router, http::StatusCode, routing::get};
    use serde_json::Value as Body;

    use super::*;

    const PATH: &str = "/apis/databases.spotahome.com/v1/namespaces/shop/redisfailovers/cart";

    fn cart(generation: i64) -> Body {
        json!({
            "apiVersion": "databases.spotahome.com/v1", "kind": "RedisFailover",
            "metadata": { "name": "cart", "namespace": "shop", "uid": "a-uid", "generation": generation, "resourceVersion": "7" },
            "spec": { "redis": { "customConfig": ["timeout 60"] } },
        })
    }

    fn refusal(code: u16) -> Body {
        let reason = if code == 409 { "Conflict" } else { "Forbidden" };
        json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure",
            "code": code, "reason": reason, "message": "the object has been modified",
        })
    }

    fn adoption() -> Adoption {
        Adoption {
            name: "cart".to_owned(),
            namespace: "shop".to_owned(),
            uid: "a-uid".to_owned(),
            generation: Some(3),
            unwritten: vec!["maxmemory 5".to_owned()],
            obstacles: Vec::new(),
            changes: Vec::new(),
            restarts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What comes of it where `cart` has this generation, and changes of it are answered with these codes; and what was
    /// asked to be changed.
    async fn adopted(generation: i64, mut codes: Vec<u16>) -> (Result<(), RemoteError>, Vec<Body>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        codes.reverse();
        let codes = Arc::new(Mutex::new(codes));
        let change = async move |body: String| {
            seen.lock().unwrap().push(serde_json::from_str::<Body>(&body).unwrap());
            match codes.lock().unwrap().pop().expect("one more change") {
                200 => (StatusCode::OK, Json(cart(generation + 1))),
                code => (StatusCode::from_u16(code).unwrap(), Json(refusal(code))),
            }
        };
        let app = Router::new().route(PATH, get(async move || Json(cart(generation))).patch(change));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move { axum::serve(listener, app).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
        let done = Remote::within(client, "shop").adopt(&adoption()).await;
        served.abort();
        let asked = asked.lock().unwrap().clone();
        (done, asked)
    }

    #[tokio::test]
    async fn a_status_that_is_written_at_the_same_moment_does_not_keep_anybody_from_agreeing() {
        let (done, asked) = adopted(3, vec![409, 409, 200]).await;
        done.unwrap();
        assert_eq!(asked.len(), 3);
        assert_eq!(
            asked[2],
            json!({
                "metadata": { "annotations": { "redoubt.dev/adopt": "true" }, "resourceVersion": "7" },
                "spec": { "redis": { "customConfig": ["timeout 60", "maxmemory 5"] } },
            })
        );
        let (refused, asked) = adopted(3, vec![409; 5]).await;
        assert!(refused.unwrap_err().next().contains("somebody changed it"));
        assert_eq!(asked.len(), 5, "not without end");
    }

    #[tokio::test]
    async fn nobody_agrees_to_a_resource_that_was_changed_meanwhile() {
        let (refused, asked) = adopted(4, Vec::new()).await;
        assert!(refused.unwrap_err().next().contains("look again"));
        assert_eq!(asked, [Body::Null; 0]);
    }

    #[tokio::test]
    async fn a_refusal_is_no_conflict() {
        let (refused, asked) = adopted(3, vec![403]).await;
        assert!(refused.unwrap_err().next().contains("grant"));
        assert_eq!(asked.len(), 1);
    }
}
