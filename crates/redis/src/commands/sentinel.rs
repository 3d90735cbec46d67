//! Commands to Sentinels (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#sentinel-api>).
//! The votes are sentinel.c `sentinelAskMasterStateToOtherSentinels` and `sentinelVoteLeader`.

use crate::{
    connection::Connection,
    endpoint::Endpoint,
    error::Error,
    role::endpoint,
    sentinel::{HELLO_CHANNEL, Hello, MasterView, Quorum, ReplicaView, SentinelView, Vote, list_of},
    value::{Mismatch, Value},
};

impl Connection {
    /// SENTINEL MASTER; an unknown name is an error reply.
    pub async fn sentinel_master(&mut self, name: &str) -> Result<MasterView, Error> {
        self.call_as(&["SENTINEL", "MASTER", name], MasterView::from_value).await
    }

    /// SENTINEL MASTERS: all that this Sentinel watches.
    pub async fn sentinel_masters(&mut self) -> Result<Vec<MasterView>, Error> {
        self.call_as(&["SENTINEL", "MASTERS"], |reply| list_of(reply, MasterView::from_value)).await
    }

    /// SENTINEL REPLICAS: the replicas it knows, dead ones included.
    pub async fn sentinel_replicas(&mut self, name: &str) -> Result<Vec<ReplicaView>, Error> {
        self.call_as(&["SENTINEL", "REPLICAS", name], |reply| list_of(reply, ReplicaView::from_value)).await
    }

    /// SENTINEL SENTINELS: the other Sentinels it knows, dead ones included.
    pub async fn sentinel_sentinels(&mut self, name: &str) -> Result<Vec<SentinelView>, Error> {
        self.call_as(&["SENTINEL", "SENTINELS", name], |reply| list_of(reply, SentinelView::from_value)).await
    }

    /// SENTINEL GET-MASTER-ADDR-BY-NAME: whom it names to clients; `None` when it does not know the name.
    pub async fn sentinel_get_master_addr(&mut self, name: &str) -> Result<Option<Endpoint>, Error> {
        self.call_as(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name], |reply| match reply {
            Value::Null => Ok(None),
            reply => match reply.as_array()? {
                [host, port] => endpoint(host, port).map(Some),
                _ => Err(Mismatch::new("host and port", reply.describe())),
            },
        })
        .await
    }

    /// SENTINEL IS-MASTER-DOWN-BY-ADDR.
    ///
    /// With a candidate (40 hex digits) this asks for the Sentinel's vote in `epoch`: it votes once an epoch, whatever
    /// it thinks of the master, and holds its own failover back for twice `failover-timeout`. Without one it only tells.
    pub async fn sentinel_is_master_down_by_addr(
        &mut self,
        master: &Endpoint,
        epoch: u64,
        candidate: Option<&str>,
    ) -> Result<Vote, Error> {
        let (port, epoch) = (master.port.to_string(), epoch.to_string());
        let args =
            ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", &master.host, &port, &epoch, candidate.unwrap_or("*")];
        self.call_as(&args, |reply| Vote::from_value(&reply)).await
    }

    /// PUBLISH of a hello: at a Sentinel it takes effect at once, when it comes in the name of another Sentinel.
    pub async fn sentinel_hello(&mut self, hello: &Hello) -> Result<(), Error> {
        self.publish(HELLO_CHANNEL, &hello.to_string()).await.map(drop)
    }

    /// SENTINEL CKQUORUM: whether enough Sentinels are usable; too few is an answer, not an error.
    pub async fn sentinel_ckquorum(&mut self, name: &str) -> Result<Quorum, Error> {
        match self.call_as(&["SENTINEL", "CKQUORUM", name], |reply| reply.as_str().map(str::to_owned)).await {
            Ok(message) => Ok(Quorum { ok: true, message }),
            Err(Error::Server { code, message, .. }) if code == "NOQUORUM" => {
                Ok(Quorum { ok: false, message })
            }
            Err(other) => Err(other),
        }
    }

    /// SENTINEL MYID (6.2 and later): its id.
    pub async fn sentinel_myid(&mut self) -> Result<String, Error> {
        self.call_as(&["SENTINEL", "MYID"], |reply| reply.as_str().map(str::to_owned)).await
    }

    /// SENTINEL SET of options of one master; saved to its file.
    pub async fn sentinel_set(&mut self, name: &str, options: &[(&str, &str)]) -> Result<(), Error> {
        let words = options.iter().flat_map(|&(option, value)| [option, value]);
        let args: Vec<&str> = ["SENTINEL", "SET", name].into_iter().chain(words).collect();
        self.call_as(&args, Value::into_ok).await
    }

    /// SENTINEL FAILOVER: for one caller, at one Sentinel; two at once can end with two masters named.
    pub async fn sentinel_failover(&mut self, name: &str) -> Result<(), Error> {
        self.call_as(&["SENTINEL", "FAILOVER", name], Value::into_ok).await
    }

    /// SENTINEL MONITOR: watch a master. Its options are the defaults, its config epoch is 0.
    pub async fn sentinel_monitor(
        &mut self,
        name: &str,
        master: &Endpoint,
        quorum: u32,
    ) -> Result<(), Error> {
        let (port, quorum) = (master.port.to_string(), quorum.to_string());
        self.call_as(&["SENTINEL", "MONITOR", name, &master.host, &port, &quorum], Value::into_ok).await
    }

    /// SENTINEL REMOVE: forget a master, its options and its epoch.
    pub async fn sentinel_remove(&mut self, name: &str) -> Result<(), Error> {
        self.call_as(&["SENTINEL", "REMOVE", name], Value::into_ok).await
    }

    /// SENTINEL FLUSHCONFIG: writes its file now.
    pub async fn sentinel_flushconfig(&mut self) -> Result<(), Error> {
        self.call_as(&["SENTINEL", "FLUSHCONFIG"], Value::into_ok).await
    }
}
