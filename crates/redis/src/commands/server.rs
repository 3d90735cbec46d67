//! Commands to data nodes (<https://redis.io/docs/latest/commands/>).

use std::time::Duration;

use crate::{
    connection::Connection,
    endpoint::Endpoint,
    error::Error,
    info::{Info, Replication},
    role::Role,
    value::{Mismatch, Value},
};

impl Connection {
    /// PING; while the server loads its files the answer is the error `LOADING`.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.call(&["PING"]).await.map(drop)
    }

    /// INFO: the default sections, or one (`replication`, `all`, …). Several at once came with 7.0.
    pub async fn info(&mut self, section: Option<&str>) -> Result<Info, Error> {
        let args: Vec<&str> = std::iter::once("INFO").chain(section).collect();
        self.call_as(&args, |reply| reply.as_str().map(Info::parse)).await
    }

    /// The view of INFO replication.
    pub async fn replication(&mut self) -> Result<Replication, Error> {
        self.call_as(&["INFO", "replication"], |reply| Info::parse(reply.as_str()?).replication()).await
    }

    /// ROLE.
    pub async fn role(&mut self) -> Result<Role, Error> {
        self.call_as(&["ROLE"], Role::from_value).await
    }

    /// REPLICAOF: follow this master, or nobody (a promotion). Answered before the link is up.
    pub async fn replicaof(&mut self, master: Option<&Endpoint>) -> Result<(), Error> {
        let (host, port) = master.map_or_else(
            || ("NO".to_owned(), "ONE".to_owned()),
            |master| (master.host.clone(), master.port.to_string()),
        );
        // `OK Already connected to specified master` is a success as well.
        self.call_as(&["REPLICAOF", &host, &port], |reply| starts_with_ok(&reply)).await
    }

    /// CLIENT PAUSE … WRITE (6.2 and later): clients that write wait, also Sentinel's hello PUBLISH and the PING
    /// behind it. Replication goes on. Ends by itself.
    pub async fn client_pause_write(&mut self, pause: Duration) -> Result<(), Error> {
        let millis = pause.as_millis().to_string();
        self.call_as(&["CLIENT", "PAUSE", &millis, "WRITE"], Value::into_ok).await
    }

    /// CLIENT UNPAUSE (6.2 and later).
    pub async fn client_unpause(&mut self) -> Result<(), Error> {
        self.call_as(&["CLIENT", "UNPAUSE"], Value::into_ok).await
    }

    /// CLIENT KILL TYPE normal: cuts every client but this connection, replicas and subscribers. How many.
    pub async fn client_kill_normal(&mut self) -> Result<u64, Error> {
        self.call_as(&["CLIENT", "KILL", "TYPE", "normal"], |reply| reply.as_u64()).await
    }

    /// CLIENT KILL TYPE pubsub: cuts every subscriber, Sentinels among them. How many.
    pub async fn client_kill_pubsub(&mut self) -> Result<u64, Error> {
        self.call_as(&["CLIENT", "KILL", "TYPE", "pubsub"], |reply| reply.as_u64()).await
    }

    /// CLIENT SETNAME: how this connection is shown in CLIENT LIST.
    pub async fn client_setname(&mut self, name: &str) -> Result<(), Error> {
        self.call_as(&["CLIENT", "SETNAME", name], Value::into_ok).await
    }

    /// PUBLISH. How many clients heard it directly.
    pub async fn publish(&mut self, channel: &str, message: &str) -> Result<u64, Error> {
        self.call_as(&["PUBLISH", channel, message], |reply| reply.as_u64()).await
    }

    /// BGSAVE SCHEDULE: starts a background save, or has it start when an AOF rewrite has ended.
    pub async fn bgsave(&mut self) -> Result<(), Error> {
        self.call(&["BGSAVE", "SCHEDULE"]).await.map(drop)
    }

    /// BGREWRITEAOF: starts a rewrite of the append-only file, or has it start when a save has ended.
    pub async fn bgrewriteaof(&mut self) -> Result<(), Error> {
        self.call(&["BGREWRITEAOF"]).await.map(drop)
    }

    /// DBSIZE: keys of the first database.
    pub async fn dbsize(&mut self) -> Result<u64, Error> {
        self.call_as(&["DBSIZE"], |reply| reply.as_u64()).await
    }

    /// SHUTDOWN, with or without a last save. The server answers by going away; an answer is an error.
    pub async fn shutdown(&mut self, save: bool) -> Result<(), Error> {
        let how = if save { "SAVE" } else { "NOSAVE" };
        match self.call(&["SHUTDOWN", how]).await {
            Err(Error::Closed { .. }) => Ok(()),
            Err(other) => Err(other),
            Ok(reply) => Err(self.unexpected("SHUTDOWN", Mismatch::new("no answer", reply.describe()))),
        }
    }
}

fn starts_with_ok(reply: &Value) -> Result<(), Mismatch> {
    if reply.as_str()?.starts_with("OK") { Ok(()) } else { Err(Mismatch::new("OK", reply.describe())) }
}
