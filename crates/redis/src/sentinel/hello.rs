//! The message by which Sentinels tell each other who they are and who is master.

use std::{fmt, str::FromStr};

use crate::{endpoint::Endpoint, value::Mismatch};

/// Where hellos are published, at the data nodes and at the Sentinels.
pub const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// One hello: `ip,port,id,epoch,name,master ip,master port,master's config epoch` (sentinel.c `sentinelSendHello`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Where the Sentinel is.
    pub sentinel: Endpoint,
    /// Its id, 40 hex digits.
    pub id: String,
    /// Highest epoch it knows.
    pub epoch: u64,
    /// Name of the master.
    pub master_name: String,
    /// Where the master is.
    pub master: Endpoint,
    /// Epoch in which it became master.
    pub config_epoch: u64,
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sentinel, id, epoch, master_name, master, config_epoch } = self;
        write!(f, "{},{},{id},{epoch},{master_name},", sentinel.host, sentinel.port)?;
        write!(f, "{},{},{config_epoch}", master.host, master.port)
    }
}

impl FromStr for Hello {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        let fields: Vec<&str> = text.split(',').collect();
        let &[host, port, id, epoch, master_name, master_host, master_port, config_epoch] = &fields[..]
        else {
            return Err(Mismatch::new("a hello of 8 fields", format!("{} fields", fields.len())));
        };
        Ok(Self {
            sentinel: Endpoint::new(host, number(port, "a port")?),
            id: id.to_owned(),
            epoch: number(epoch, "an epoch")?,
            master_name: master_name.to_owned(),
            master: Endpoint::new(master_host, number(master_port, "a port")?),
            config_epoch: number(config_epoch, "an epoch")?,
        })
    }
}

fn number<T: FromStr>(text: &str, what: &str) -> Result<T, Mismatch> {
    text.parse().map_err(|_| Mismatch::new(format!("{what} in a hello"), format!("{text:?}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "10.0.0.9,26379,0123456789012345678901234567890123456789,7,mymaster,10.0.0.2,6379,7";

    #[test]
    fn a_hello_reads_as_sentinel_writes_it() {
        let hello: Hello = TEXT.parse().unwrap();
        assert_eq!((hello.epoch, hello.master.to_string().as_str()), (7, "10.0.0.2:6379"));
        assert_eq!(hello.to_string(), TEXT);
    }

    #[test]
    fn what_is_no_hello_says_why() {
        let refused = |text: &str| text.parse::<Hello>().unwrap_err().to_string();
        assert_eq!(refused("a,b"), "expected a hello of 8 fields, got 2 fields");
        assert_eq!(refused(&TEXT.replace("26379", "99999")), "expected a port in a hello, got \"99999\"");
    }

    proptest! {
        #[test]
        fn any_hello_comes_back(
            host in "[a-z0-9.:-]{1,40}", port: u16, id in "[0-9a-f]{40}", epoch: u64, name in "[a-zA-Z0-9_.-]{1,20}",
            master in "[a-z0-9.:-]{1,40}", master_port: u16, config_epoch: u64,
        ) {
            let hello = Hello {
                sentinel: Endpoint::new(host, port), id, epoch, master_name: name,
                master: Endpoint::new(master, master_port), config_epoch,
            };
            prop_assert_eq!(hello.to_string().parse::<Hello>(), Ok(hello));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,120}") {
            let _outcome = text.parse::<Hello>();
        }
    }
}
