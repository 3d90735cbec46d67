//! A wall between members: packets from one side to the other are dropped, both ways, as by a cable that is cut.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use super::wait_for;

/// Why this system cannot be cut in two; `None` when it can.
pub(crate) fn why_no_wall() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("packets are dropped by nftables, which takes root".to_owned());
    }
    let probe = Command::new("nft").args(["list", "tables"]).output();
    match probe {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("nft: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Some(format!("nft: {error} (Debian: apt-get install nftables)")),
    }
}

/// Stands until it is dropped. The kernel takes the rules away when their owner, the child, ends: also when this
/// process is killed, since the child ends at the end of its input.
pub(crate) struct Wall {
    table: String,
    owner: Child,
}

impl Wall {
    /// Between everybody here and everybody there.
    #[track_caller]
    pub(crate) fn between(here: &[String], there: &[String]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let table = format!("redoubt_test_{}_{number}", std::process::id());
        let pairs = here.iter().flat_map(|one| {
            there.iter().flat_map(move |other| [format!("{one} . {other}"), format!("{other} . {one}")])
        });
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        let rules = format!(
            "add table ip {table} {{ flags owner; }}\n\
             add chain ip {table} cut {{ type filter hook input priority 0; }}\n\
             add rule ip {table} cut ip saddr . ip daddr {{ {pairs} }} counter drop\n"
        );
        let mut owner =
            Command::new("nft").arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        owner.stdin.as_mut().unwrap().write_all(rules.as_bytes()).unwrap();
        let wall = Self { table, owner };
        wait_for("the wall", 20, || wall.rules().is_some_and(|rules| rules.contains("drop")));
        wall
    }

    fn rules(&self) -> Option<String> {
        let listed = Command::new("nft").args(["list", "table", "ip", &self.table]).output().unwrap();
        listed.status.success().then(|| String::from_utf8_lossy(&listed.stdout).into_owned())
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        let dropped = self.rules().filter(|rules| !rules.contains("packets 0 "));
        let _ = self.owner.kill();
        let _ = self.owner.wait();
        if std::thread::panicking() {
            return;
        }
        wait_for("the wall is gone", 20, || self.rules().is_none());
        assert!(dropped.is_some(), "nobody ran into the wall: it cut nothing");
    }
}
