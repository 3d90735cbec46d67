//! An instance as SENTINEL describes it: names and values, all strings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use crate::{
    endpoint::Endpoint,
    value::{Mismatch, Value},
};

/// What a Sentinel holds of an instance: `s_down`, `o_down`, `promoted`, …. Flags of later versions are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(BTreeSet<String>);

impl Flags {
    /// The flag is set, by the name the Sentinel gives it.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.0.contains(flag)
    }

    /// This Sentinel cannot reach the instance.
    #[must_use]
    pub fn s_down(&self) -> bool {
        self.has("s_down")
    }

    /// Enough Sentinels cannot reach the master.
    #[must_use]
    pub fn o_down(&self) -> bool {
        self.has("o_down")
    }

    /// This Sentinel leads a failover of the master.
    #[must_use]
    pub fn failover_in_progress(&self) -> bool {
        self.has("failover_in_progress")
    }

    /// The leading Sentinel has chosen this replica.
    #[must_use]
    pub fn promoted(&self) -> bool {
        self.has("promoted")
    }

    /// This Sentinel has no connection to the instance.
    #[must_use]
    pub fn disconnected(&self) -> bool {
        self.has("disconnected")
    }
}

impl FromIterator<String> for Flags {
    fn from_iter<T: IntoIterator<Item = String>>(flags: T) -> Self {
        Self(flags.into_iter().collect())
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(","))
    }
}

/// The fields of one instance.
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(super) fn from_value(value: Value) -> Result<Self, Mismatch> {
        let pairs = value.into_pairs()?.into_iter();
        let owned = pairs.map(|(name, value)| Ok((name.as_str()?.to_owned(), value.as_str()?.to_owned())));
        owned.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    pub(super) fn millis(&self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_millis)
    }

    pub(super) fn required<T: FromStr>(&self, name: &str) -> Result<T, Mismatch> {
        self.number(name).ok_or_else(|| Mismatch::new(format!("the field {name}"), "a reply without it"))
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, Mismatch> {
        Ok(Endpoint::new(self.required::<String>("ip")?, self.required("port")?))
    }

    pub(super) fn flags(&self) -> Result<Flags, Mismatch> {
        Ok(self.required::<String>("flags")?.split(',').map(str::to_owned).collect())
    }
}

/// A list of instances.
pub(crate) fn list_of<T>(
    value: Value,
    read: impl Fn(Value) -> Result<T, Mismatch>,
) -> Result<Vec<T>, Mismatch> {
    value.into_array()?.into_iter().map(read).collect()
}
