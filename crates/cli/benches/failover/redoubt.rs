//! The set that Redoubt runs, by its own commands.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use redoubt_drill::{Drill, DrillResult, Target, assess, survey};
use redoubt_local::Local;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Result, figures::Round};

const NAME: &str = "bench";
const RESOURCE: &str = "
apiVersion: redoubt.dev/v1
kind: Redis
metadata:
  name: bench
spec:
";
/// Of a set whose Sentinels elect.
pub(crate) const SENTINEL: &str = "  mode: Sentinel\n  sentinel:\n    downAfter: 5s\n";
/// Of a set whose masters elect: three shards of two nodes.
pub(crate) const CLUSTER: &str = "  mode: Cluster\n";
/// `recoveryDeadline` and as much again.
const WHOLE: Duration = Duration::from_mins(2);
/// Between two looks: short against the second that the shortest round takes.
const LOOK: Duration = Duration::from_millis(50);

/// A set with its engine. Dropped, it is taken down.
pub(crate) struct Redoubt {
    dir: TempDir,
}

impl Redoubt {
    /// Starts it and waits until it is whole.
    pub(crate) async fn start(spec: &str) -> Result<Self> {
        let set = Self { dir: tempfile::tempdir()? };
        let file = set.dir.path().join("redis.yaml");
        fs::write(&file, format!("{RESOURCE}{spec}"))?;
        set.run(&["up", "--detach", "-f", &file.display().to_string()]).await?;
        set.whole().await?;
        Ok(set)
    }

    /// One drill on a set that is whole.
    pub(crate) async fn drill(&self, drill: &Drill) -> Result<Round> {
        self.whole().await?;
        let (scenario, client) = (drill.scenario.name(), drill.client.name());
        let (writers, seconds) = (drill.writers.to_string(), drill.duration.as_secs().to_string());
        let options = ["--client", client, "--writers", &writers, "--duration", &seconds, "--output", "json"];
        let said = self.run(&[&["drill", NAME, scenario][..], &options[..]].concat()).await?;
        let result: DrillResult = serde_json::from_str(&said)?;
        Ok(Round { gap_ms: result.write_gap_ms, lost: result.lost })
    }

    async fn whole(&self) -> Result<()> {
        let target = self.target()?;
        let end = Instant::now() + WHOLE;
        loop {
            let health = assess(&target.config, &survey(&target).await);
            if health.is_whole() {
                return Ok(());
            }
            if Instant::now() > end {
                let troubles = health.troubles.join("; ");
                return Err(format!("Redoubt's set is not whole after {WHOLE:?}: {troubles}").into());
            }
            sleep(LOOK).await;
        }
    }

    fn target(&self) -> Result<Target> {
        let local = Local::open(&self.dir.path().join("state"))?;
        let config = local.config(NAME)?.ok_or("the set was not started")?;
        Ok(Target::new(config, local.secrets(NAME)?))
    }

    /// What the command says. A drill that found something wrong ends in failure and says what it found.
    async fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = tokio::process::Command::from(self.command(args));
        let output = command.kill_on_drop(true).output().await?;
        if !output.status.success() && output.stdout.is_empty() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("redoubt {}: {why}", args.join(" ")).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redoubt"));
        command.args(args).env("REDOUBT_STATE_DIR", self.dir.path().join("state")).stdin(Stdio::null());
        command
    }
}

impl Drop for Redoubt {
    fn drop(&mut self) {
        let down = self.command(&["down"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !down.is_ok_and(|status| status.success()) {
            eprintln!("the set in {} may still run", self.dir.path().display());
        }
    }
}
