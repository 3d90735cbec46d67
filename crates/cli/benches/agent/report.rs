//! The table.

use std::time::Duration;

use crate::{AT_REST, SCRAPES, process::Usage};

/// What the project promises: CPU of a scrape, its 99th percentile, and resident memory at rest.
const CPU_LIMIT: Duration = Duration::from_micros(300);
const P99_LIMIT: Duration = Duration::from_millis(1);
const RESIDENT_LIMIT: u64 = 8 * 1024 * 1024;

/// One endpoint, measured.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    /// CPU of its process, a scrape.
    pub(crate) cpu: Duration,
    /// CPU of the server, a scrape.
    pub(crate) server_cpu: Duration,
    /// Of every scrape, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// Resident memory afterwards, bytes.
    pub(crate) resident: u64,
    /// Length of an answer.
    pub(crate) bytes: usize,
    /// Samples in an answer.
    pub(crate) samples: usize,
}

impl Measured {
    fn quantile(&self, thousandths: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * thousandths / 1000).copied().unwrap_or_default()
    }
}

/// Prints agent and peer side by side.
pub(crate) fn print(rest: &Usage, agent: &Measured, peer: Option<&Measured>) {
    println!("{SCRAPES} scrapes each, in turns\n");
    println!("{:<30} {:>14} {:>26} {:>8}", "", agent.name, peer.map_or("", |peer| peer.name), "ratio");
    let time = |what: &str, of: &dyn Fn(&Measured) -> Duration| {
        let (ours, theirs) = (of(agent), peer.map(of));
        let ratio = theirs.map(|theirs| theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9));
        row(what, &ms(ours), theirs.map(ms), ratio);
    };
    time("CPU a scrape", &|measured| measured.cpu);
    time("CPU of the server a scrape", &|measured| measured.server_cpu);
    time("latency p50", &|measured| measured.quantile(500));
    time("latency p99", &|measured| measured.quantile(990));
    time("latency max", &|measured| measured.quantile(1000));
    row("resident memory afterwards", &mib(agent.resident), peer.map(|peer| mib(peer.resident)), None);
    row("answer, KiB", &kib(agent.bytes), peer.map(|peer| kib(peer.bytes)), None);
    row("samples", &agent.samples.to_string(), peer.map(|peer| peer.samples.to_string()), None);
    println!("\nThe agent at rest, over {} s:", AT_REST.as_secs());
    println!(
        "  resident memory {}, CPU {:.2} % of a core",
        mib(rest.resident),
        rest.cpu.as_secs_f64() * 100.0
    );
    println!("\nPromised:");
    promise("CPU a scrape at most 0.3 ms", agent.cpu <= CPU_LIMIT);
    promise("p99 under 1 ms", agent.quantile(990) < P99_LIMIT);
    promise("resident memory at rest at most 8 MiB", rest.resident <= RESIDENT_LIMIT);
}

fn row(what: &str, ours: &str, theirs: Option<String>, ratio: Option<f64>) {
    let ratio = ratio.map(|ratio| format!("{ratio:.1}x")).unwrap_or_default();
    println!("{what:<30} {ours:>14} {:>26} {ratio:>8}", theirs.unwrap_or_default());
}

fn promise(what: &str, kept: bool) {
    println!("  {} {what}", if kept { "kept:  " } else { "BROKEN:" });
}

fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024)
}

fn kib(bytes: usize) -> String {
    format!("{}.{}", bytes >> 10, bytes % 1024 * 10 / 1024)
}
