//! Three masters on loopback addresses of their own.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redoubt_redis::Endpoint;
use tempfile::TempDir;

use crate::{Result, data::Data, delay};

const PORT: u16 = 6379;
const BUS: u16 = 16379;
/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);
/// Commands in one pipeline while the data is written.
const CHUNK: usize = 500;

/// A server and its addresses: where it listens, and where everybody else finds it.
struct Master {
    inside: Endpoint,
    outside: Endpoint,
    id: String,
    child: Child,
    _dir: TempDir,
}

/// Dropped, its servers are killed.
pub(crate) struct Cluster(Vec<Master>);

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cluster {
    /// With links of this round-trip time from everybody to each master, masters included. The bus has none.
    pub(crate) fn start(round_trip: Duration) -> Result<Self> {
        let block = free_block()?;
        let mut masters = Vec::new();
        for number in 1..=3 {
            let address = |side: u8| Ipv4Addr::new(127, side, block, number);
            let (inside, outside) = if round_trip.is_zero() { (78, 78) } else { (77, 78) };
            let (inside, outside) = (address(inside), address(outside));
            masters.push(master(inside, outside)?);
            if inside != outside {
                for (port, round_trip) in [(PORT, round_trip), (BUS, Duration::ZERO)] {
                    let socket = |ip| SocketAddr::new(IpAddr::V4(ip), port);
                    delay::link(socket(outside), socket(inside), round_trip)?;
                }
            }
        }
        let mut cluster = Self(masters);
        cluster.join()?;
        Ok(cluster)
    }

    fn join(&mut self) -> Result<()> {
        for master in &mut self.0 {
            wait("a server to answer", || Ok(connect(&master.inside).is_ok()))?;
            master.id = redis::cmd("CLUSTER").arg("MYID").query(&mut connect(&master.inside)?)?;
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(self.0.iter().map(|master| master.outside.to_string()));
        let output =
            create.args(["--cluster-replicas", "0", "--cluster-yes"]).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(format!("no cluster was made: {}", String::from_utf8_lossy(&output.stdout)).into());
        }
        self.settle()
    }

    /// Waits until all agree on who owns what.
    pub(crate) fn settle(&self) -> Result<()> {
        wait("the masters to agree", || {
            let mut views = Vec::new();
            for master in &self.0 {
                let mut connection = connect(&master.inside)?;
                let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection)?;
                if !info.contains("cluster_state:ok") {
                    return Ok(false);
                }
                views.push(view(&redis::cmd("CLUSTER").arg("NODES").query::<String>(&mut connection)?));
            }
            Ok(views.windows(2).all(|pair| pair[0] == pair[1]))
        })
    }

    /// Writes the data; gives how many keys there are.
    pub(crate) fn fill(&self, data: &Data) -> Result<u64> {
        let bounds = [0, 5461, 10923, 16384];
        thread::scope(|scope| {
            let fill = |(number, master): (usize, &Master)| {
                let (range, endpoint) = (bounds[number]..bounds[number + 1], master.inside.clone());
                scope.spawn(move || write(data, range, &endpoint))
            };
            let writers: Vec<_> = self.0.iter().enumerate().map(fill).collect();
            writers
                .into_iter()
                .try_for_each(|writer| writer.join().map_err(|_| "a writer ended without a word")?)
        })?;
        self.keys()
    }

    /// Keys of all masters.
    pub(crate) fn keys(&self) -> Result<u64> {
        let size = |master: &Master| Ok(redis::cmd("DBSIZE").query::<u64>(&mut connect(&master.inside)?)?);
        self.0.iter().map(size).sum()
    }

    pub(crate) fn id(&self, number: usize) -> &str {
        &self.0[number].id
    }

    pub(crate) fn inside(&self, number: usize) -> &Endpoint {
        &self.0[number].inside
    }

    pub(crate) fn outside(&self, number: usize) -> &Endpoint {
        &self.0[number].outside
    }
}

fn master(inside: Ipv4Addr, outside: Ipv4Addr) -> Result<Master> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("redis-server");
    command.args(["--bind", &inside.to_string(), "--port", &PORT.to_string(), "--save", ""]);
    command.args(["--cluster-enabled", "yes", "--cluster-announce-ip", &outside.to_string()]);
    // A master that gave all its slots away stays one.
    command.args(["--cluster-allow-replica-migration", "no", "--protected-mode", "no"]);
    command.arg("--dir").arg(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().map_err(|error| format!("redis-server: {error}"))?;
    let endpoint = |address: Ipv4Addr| Endpoint::new(address.to_string(), PORT);
    Ok(Master { inside: endpoint(inside), outside: endpoint(outside), id: String::new(), child, _dir: dir })
}

/// A third octet that nobody uses.
fn free_block() -> Result<u8> {
    let free = |block: &u8| {
        let hosts = [77, 78].into_iter().flat_map(|side| (1..=3).map(move |number| (side, number)));
        hosts
            .map(|(side, number)| Ipv4Addr::new(127, side, *block, number))
            .all(|address| [PORT, BUS].iter().all(|port| TcpListener::bind((address, *port)).is_ok()))
    };
    (1..=254).find(free).ok_or_else(|| "no loopback addresses are free".into())
}

fn connect(endpoint: &Endpoint) -> Result<redis::Connection> {
    Ok(redis::Client::open(format!("redis://{endpoint}"))?.get_connection_with_timeout(PATIENCE)?)
}

/// Who owns what, in a form that is the same at all masters that agree.
fn view(nodes: &str) -> Vec<String> {
    let slots = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let mut view = vec![words.first().copied().unwrap_or_default()];
        view.extend(words.iter().skip(8).filter(|word| !word.starts_with('[')));
        view.join(" ")
    };
    let mut view: Vec<String> = nodes.lines().map(slots).collect();
    view.sort();
    view
}

fn write(data: &Data, slots: std::ops::Range<usize>, at: &Endpoint) -> Result<()> {
    let mut connection = connect(at)?;
    let mut pipe = redis::pipe();
    for (key, value) in data.values(slots) {
        pipe.cmd("SET").arg(key).arg(value).ignore();
        if pipe.len() >= CHUNK {
            pipe.exec(&mut connection)?;
            pipe.clear();
        }
    }
    if pipe.is_empty() {
        return Ok(());
    }
    Ok(pipe.exec(&mut connection)?)
}

fn wait(what: &str, mut there: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !there()? {
        if Instant::now() > end {
            return Err(format!("waited {PATIENCE:?} for {what}").into());
        }
        #[expect(clippy::disallowed_methods, reason = "between two looks, in a program without a runtime")]
        thread::sleep(LOOK);
    }
    Ok(())
}
