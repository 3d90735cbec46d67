//! The cost of a scrape: the agent's `/metrics` beside Debian's `prometheus-redis-exporter`, on the same server.
//!
//! `make bench-agent`. A whole set (three nodes, three Sentinels, an agent each) with 100,000 keys; both endpoints are
//! scraped over one kept connection each, in turns, so that both see the same machine. CPU is what the kernel counted
//! for each process (`/proc/<pid>/stat`), divided by the scrapes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod http;
mod process;
mod report;
mod set;

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    http::Connection,
    process::{Process, Usage},
    report::Measured,
    set::Set,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Scrapes of each endpoint. CPU counts in ticks of 10 ms: 3000 scrapes of 0.1 ms are 30 of them.
const SCRAPES: usize = 3_000;
/// Scrapes before the other endpoint has its turn.
const TURN: usize = 250;
/// Scrapes before it counts: connections are made, buffers grown, code is warm.
const WARM_UP: usize = 200;
/// How long an agent that nobody asks is watched.
const AT_REST: Duration = Duration::from_secs(10);
const KEYS: usize = 100_000;
const EXPORTER: &str = "prometheus-redis-exporter";

fn main() -> ExitCode {
    // `cargo test --benches` runs this too, and has no use for it.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark could not be run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let set = Set::start()?;
    let master = set.master()?;
    set.fill(master, KEYS)?;
    println!("3 nodes, 3 Sentinels, {KEYS} keys; scraping the master {}", set.server(master));
    let rest = at_rest(set.agent(master))?;
    let exporter = start_exporter(&set, master)?;
    let mut agent = Subject::new("redoubt-agent", set.agent(master), &set.agent_at(master))?;
    let mut peer = exporter.as_ref().map(|(process, at)| Subject::new(EXPORTER, process, at)).transpose()?;
    let server = set.server_process(master)?;
    while agent.taken() < SCRAPES {
        agent.turn(&server)?;
        if let Some(peer) = &mut peer {
            peer.turn(&server)?;
        }
    }
    report::print(&rest, &agent.measured()?, peer.map(Subject::measured).transpose()?.as_ref());
    Ok(())
}

/// What an agent costs that nobody asks.
fn at_rest(agent: &Process) -> Result<Usage> {
    let before = agent.usage()?;
    // There is nothing to wait for: rest is time without events.
    #[allow(clippy::disallowed_methods, reason = "no runtime here, and no event to await")]
    std::thread::sleep(AT_REST);
    let after = agent.usage()?;
    let cpu = after.cpu_since(&before) / u32::try_from(AT_REST.as_secs())?;
    Ok(Usage { cpu, resident: after.resident })
}

fn start_exporter(set: &Set, master: usize) -> Result<Option<(Process, String)>> {
    let at = set::spare_address();
    let args = ["-redis.addr", &format!("redis://{}", set.server(master)), "-web.listen-address", &at];
    let password = [("REDIS_PASSWORD", set.application_password()?)];
    match Process::start(EXPORTER.as_ref(), &args, &password) {
        Ok(process) => Ok(Some((process, at))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{EXPORTER} is not installed, so there is nothing to compare with");
            Ok(None)
        }
        Err(error) => Err(format!("{EXPORTER}: {error}").into()),
    }
}

/// One endpoint under measurement.
struct Subject<'a> {
    name: &'static str,
    process: &'a Process,
    connection: Connection,
    latencies: Vec<Duration>,
    cpu: Duration,
    server_cpu: Duration,
    answer: String,
}

impl<'a> Subject<'a> {
    fn new(name: &'static str, process: &'a Process, at: &str) -> Result<Self> {
        let mut connection = Connection::open(at)?;
        for _ in 0..WARM_UP {
            connection.get("/metrics")?;
        }
        let (latencies, answer) = (Vec::with_capacity(SCRAPES), String::new());
        let (cpu, server_cpu) = (Duration::ZERO, Duration::ZERO);
        Ok(Self { name, process, connection, latencies, cpu, server_cpu, answer })
    }

    fn taken(&self) -> usize {
        self.latencies.len()
    }

    fn turn(&mut self, server: &Process) -> Result<()> {
        let (before, server_before) = (self.process.usage()?, server.usage()?);
        for _ in 0..TURN {
            let asked = Instant::now();
            self.answer = self.connection.get("/metrics")?;
            self.latencies.push(asked.elapsed());
        }
        self.cpu += self.process.usage()?.cpu_since(&before);
        self.server_cpu += server.usage()?.cpu_since(&server_before);
        Ok(())
    }

    fn measured(mut self) -> Result<Measured> {
        if !self.answer.contains("\nredis_up 1\n") {
            return Err(format!("{} does not reach the server", self.name).into());
        }
        self.latencies.sort_unstable();
        let scrapes = u32::try_from(self.latencies.len())?;
        Ok(Measured {
            name: self.name,
            cpu: self.cpu / scrapes,
            server_cpu: self.server_cpu / scrapes,
            latencies: self.latencies,
            resident: self.process.usage()?.resident,
            bytes: self.answer.len(),
            samples: self.answer.lines().filter(|line| !line.starts_with('#')).count(),
        })
    }
}
