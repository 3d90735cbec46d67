//! What moves the slots: `redis-cli` with several pipelines, and ours.

use std::{
    fmt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Result, cluster::Cluster};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tool {
    /// With this `--cluster-pipeline`.
    RedisCli(u32),
    Redoubt,
}

impl Tool {
    /// The first one is redis-cli's default.
    pub(crate) const ALL: [Self; 4] =
        [Self::RedisCli(10), Self::RedisCli(100), Self::RedisCli(1000), Self::Redoubt];
    pub(crate) const DEFAULT: Self = Self::RedisCli(10);
    pub(crate) const WIDEST: Self = Self::RedisCli(1000);

    /// Moves the first so many slots of one master to another; gives how long that took.
    pub(crate) fn reshard(self, cluster: &Cluster, from: usize, to: usize, slots: usize) -> Result<Duration> {
        let (source, target) = (cluster.id(from), cluster.id(to));
        let (seed, count) = (cluster.outside(0).to_string(), slots.to_string());
        let mut command = match self {
            Self::RedisCli(pipeline) => {
                let mut command = Command::new("redis-cli");
                command.args([
                    "--cluster",
                    "reshard",
                    &seed,
                    "--cluster-from",
                    source,
                    "--cluster-to",
                    target,
                ]);
                command.args(["--cluster-slots", &count, "--cluster-yes"]);
                command.args(["--cluster-pipeline", &pipeline.to_string()]);
                command
            }
            Self::Redoubt => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
                command.args(["cluster", "reshard", "--addr", &seed, "--from", source, "--to", target]);
                command.args(["--slots", &count, "--yes"]);
                command
            }
        };
        let began = Instant::now();
        let output = command.stdin(Stdio::null()).output()?;
        let took = began.elapsed();
        if output.status.success() {
            return Ok(took);
        }
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        Err(format!("{self} failed: {}", last.join(" / ")).into())
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RedisCli(pipeline) => f.pad(&format!("redis-cli, pipeline {pipeline}")),
            Self::Redoubt => f.pad("redoubt"),
        }
    }
}
