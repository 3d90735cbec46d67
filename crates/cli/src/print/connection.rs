//! How an application connects, in the forms that applications read.

use std::fmt::Write as _;

use redoubt_redis::Endpoint;
use serde::Serialize;

/// Stands where a password is not shown.
const MASK: &str = "********";

/// How an application connects. The names of the fields are a promise to programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Connection {
    /// Name of the `Redis`.
    pub name: String,
    /// The name under which the Sentinels know the master; absent in `Standalone`.
    pub master_name: Option<String>,
    /// The Sentinels, `host:port`.
    pub sentinels: Vec<Endpoint>,
    /// All nodes of a cluster, `host:port`; left out in other modes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster: Vec<Endpoint>,
    /// The master at this moment, `host:port`.
    pub master: Option<Endpoint>,
    /// The replicas at this moment, `host:port`.
    pub replicas: Vec<Endpoint>,
    /// The application's user.
    pub username: String,
    /// A password is asked for.
    pub auth: bool,
    /// The Sentinels ask for one too.
    #[serde(skip)]
    pub sentinel_auth: bool,
    /// The application's password at the nodes; left out unless asked for.
    pub password: Option<String>,
    /// The application's password at the Sentinels; left out unless asked for.
    pub sentinel_password: Option<String>,
}

impl Connection {
    /// The password, or a mask where one is asked for and not shown.
    fn shown(&self) -> Option<String> {
        self.auth.then(|| masked(self.password.as_ref()))
    }

    /// The same of the Sentinels, where there are any.
    fn shown_sentinel(&self) -> Option<String> {
        (self.sentinel_auth && self.master_name.is_some()).then(|| masked(self.sentinel_password.as_ref()))
    }
}

fn masked(password: Option<&String>) -> String {
    password.cloned().unwrap_or_else(|| MASK.to_owned())
}

/// Lines that a shell can read.
pub(crate) fn env(connection: &Connection) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}={}", quoted(value));
    };
    if let Some(master_name) = &connection.master_name {
        line("REDIS_MASTER_NAME", master_name);
        line("REDIS_SENTINELS", &joined(&connection.sentinels));
    }
    if !connection.cluster.is_empty() {
        line("REDIS_CLUSTER_NODES", &joined(&connection.cluster));
    }
    if let Some(master) = &connection.master {
        line("REDIS_HOST", &master.host);
        line("REDIS_PORT", &master.port.to_string());
    }
    line("REDIS_USERNAME", &connection.username);
    if let Some(password) = connection.shown() {
        line("REDIS_PASSWORD", &password);
    }
    if let Some(password) = connection.shown_sentinel() {
        line("REDIS_SENTINEL_PASSWORD", &password);
    }
    text
}

/// The master's URL, as most clients read it, in a cluster that of its first node; `None` while nobody leads.
pub(crate) fn url(connection: &Connection) -> Option<String> {
    let master = connection.master.as_ref().or(connection.cluster.first())?;
    let password = connection.shown();
    let access = password.map(|password| format!("{}:{}@", connection.username, percent_encoded(&password)));
    Some(format!("redis://{}{master}/0", access.unwrap_or_default()))
}

/// For people.
pub(crate) fn text(connection: &Connection) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<18} {value}");
    };
    if let Some(master_name) = &connection.master_name {
        line("Sentinels", &joined(&connection.sentinels));
        line("master name", master_name);
    }
    if connection.cluster.is_empty() {
        let master = connection.master.as_ref();
        line("master now", &master.map_or_else(|| "nobody".to_owned(), Endpoint::to_string));
    } else {
        line("cluster nodes", &joined(&connection.cluster));
    }
    if !connection.replicas.is_empty() {
        line("replicas now", &joined(&connection.replicas));
    }
    line("user", &connection.username);
    let password = connection.shown();
    line("password", password.as_deref().unwrap_or("none is asked for"));
    if let Some(password) = connection.shown_sentinel() {
        line("Sentinel password", &password);
    }
    text
}

fn joined(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
}

/// In single quotes where a shell would otherwise read more than one plain word.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:,/@".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// For the user part of a URL.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~*".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(password: Option<&str>) -> Connection {
        Connection {
            name: "cart".to_owned(),
            master_name: Some("mymaster".to_owned()),
            sentinels: vec![Endpoint::new("127.7.1.0", 26379), Endpoint::new("127.7.1.1", 26379)],
            cluster: Vec::new(),
            master: Some(Endpoint::new("127.7.0.0", 6379)),
            replicas: vec![Endpoint::new("127.7.0.1", 6379)],
            username: "default".to_owned(),
            auth: true,
            sentinel_auth: true,
            password: password.map(str::to_owned),
            sentinel_password: password.map(str::to_owned),
        }
    }

    #[test]
    fn a_password_is_shown_only_when_asked_for() {
        for text in [env(&connection(None)), url(&connection(None)).unwrap(), text(&connection(None))] {
            assert!(text.contains(MASK), "{text}");
        }
        let json = serde_json::to_value(connection(None)).unwrap();
        assert!(json["password"].is_null() && json["sentinelPassword"].is_null());
        for text in [
            env(&connection(Some("s3cret"))),
            url(&connection(Some("s3cret"))).unwrap(),
            text(&connection(Some("s3cret"))),
        ] {
            assert!(text.contains("s3cret") && !text.contains(MASK), "{text}");
        }
    }

    #[test]
    fn a_shell_and_a_url_read_back_what_was_meant() {
        assert_eq!(url(&connection(Some("a/b@c"))).unwrap(), "redis://default:a%2Fb%40c@127.7.0.0:6379/0");
        assert!(env(&connection(Some("it's"))).contains(r"REDIS_PASSWORD='it'\''s'"));
        assert!(env(&connection(Some("x"))).contains("REDIS_SENTINELS=127.7.1.0:26379,127.7.1.1:26379\n"));
    }

    #[test]
    fn json_keeps_the_names_that_programs_rely_on() {
        let json = serde_json::to_value(connection(Some("x"))).unwrap();
        assert_eq!(json["masterName"], "mymaster");
        assert_eq!(json["sentinels"][0], "127.7.1.0:26379");
        assert_eq!(json["master"], "127.7.0.0:6379");
        assert_eq!(json["replicas"][0], "127.7.0.1:6379");
        assert_eq!(json["username"], "default");
        assert_eq!(json["password"], "x");
        assert_eq!(json["sentinelPassword"], "x");
    }

    #[test]
    fn a_cluster_is_entered_by_any_of_its_nodes() {
        let nodes = vec![Endpoint::new("127.7.0.1", 6379), Endpoint::new("127.7.0.2", 6379)];
        let cluster = Connection {
            master_name: None,
            master: None,
            cluster: nodes,
            replicas: Vec::new(),
            ..connection(Some("x"))
        };
        assert!(env(&cluster).starts_with("REDIS_CLUSTER_NODES=127.7.0.1:6379,127.7.0.2:6379\n"));
        assert_eq!(url(&cluster).unwrap(), "redis://default:x@127.7.0.1:6379/0");
        assert!(!text(&cluster).contains("nobody"));
        assert_eq!(serde_json::to_value(cluster).unwrap()["cluster"][1], "127.7.0.2:6379");
    }

    #[test]
    fn without_a_password_none_is_named() {
        let open = Connection { auth: false, sentinel_auth: false, ..connection(None) };
        assert!(!env(&open).contains("PASSWORD"));
        assert_eq!(url(&open).unwrap(), "redis://127.7.0.0:6379/0");
    }
}
