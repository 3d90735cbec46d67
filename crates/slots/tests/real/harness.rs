//! A cluster of real servers on loopback addresses of its own, gone when it is dropped.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use redoubt_redis::{Connection, Connector, Credentials, Endpoint, Value};
use redoubt_slots::{
    Access, Cluster, Event, Guard, Mover, Options, Repair, Repairs, SlotsError, Stop, Summary, check, create,
    look_settled, plan, repair, strays,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Of one call.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server in cluster mode.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    dir: TempDir,
    args: Vec<String>,
    child: Child,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let endpoint = fresh_endpoint();
        let child = spawn(&endpoint, &dir, &args);
        Self { endpoint, dir, args, child }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same server again, with what it has on disk.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.endpoint, &self.dir, &self.args);
    }

    /// It keeps its connections and answers nothing.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The server under test.
pub(crate) fn server_binary() -> PathBuf {
    std::env::var_os("REDOUBT_TEST_SERVER").unwrap_or_else(|| OsString::from("redis-server")).into()
}

fn spawn(endpoint: &Endpoint, dir: &TempDir, args: &[String]) -> Child {
    let mut command = Command::new(server_binary());
    command.args(["--bind", &endpoint.host, "--port", &endpoint.port.to_string(), "--save", ""]);
    command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "3000"]).arg("--dir").arg(dir.path());
    // From one loopback address all others look alike.
    command.args(["--cluster-announce-ip", &endpoint.host]);
    command.args(["--repl-diskless-sync-delay", "0", "--cluster-require-full-coverage", "no"]).args(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    let ready = "Ready to accept connections";
    let started = lines.by_ref().inspect(|line| seen.push(line.clone())).any(|line| line.contains(ready));
    assert!(started, "the server ended: {seen:#?}");
    std::thread::spawn(move || lines.for_each(drop));
    child
}

/// An address at which nobody listens, another one for each process and server.
fn fresh_endpoint() -> Endpoint {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(251).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let (low, middle, high) = (1 + number % 254, number / 254 % 256, 128 + number / 254 / 256 % 127);
        let host = format!("127.{high}.{middle}.{low}");
        if [6379, 16379].iter().all(|port| TcpListener::bind((host.as_str(), *port)).is_ok()) {
            return Endpoint::new(host, 6379);
        }
    }
}

/// Servers that are one cluster.
pub(crate) struct Lab {
    pub(crate) servers: Vec<Server>,
    pub(crate) access: Access,
}

impl Lab {
    /// So many masters, each with so many replicas.
    pub(crate) async fn start(masters: usize, replicas: usize) -> Self {
        Self::with(masters, replicas, &[], None).await
    }

    pub(crate) async fn with(masters: usize, replicas: usize, args: &[&str], password: Option<&str>) -> Self {
        Self::of(masters, replicas, args, access(password)).await
    }

    /// Reached in this way.
    pub(crate) async fn of(masters: usize, replicas: usize, args: &[&str], access: Access) -> Self {
        let lab = Self { access, ..Self::loose(masters * (replicas + 1), args, None) };
        let hosts: Vec<String> = lab.servers.iter().map(|server| server.endpoint.host.clone()).collect();
        let layout = plan::layout(&hosts, replicas).unwrap();
        create(&lab.access, &lab.endpoints(), &layout).await.unwrap();
        lab
    }

    /// Servers that know nobody.
    pub(crate) fn loose(count: usize, args: &[&str], password: Option<&str>) -> Self {
        let servers = (0..count).map(|_| Server::start(args)).collect();
        Self { servers, access: access(password) }
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.servers.iter().map(|server| server.endpoint.clone()).collect()
    }

    pub(crate) fn entry(&self) -> &Endpoint {
        &self.servers[0].endpoint
    }

    pub(crate) async fn look(&self) -> Cluster {
        look_settled(&self.access, self.entry()).await.unwrap()
    }

    pub(crate) async fn connect(&self, index: usize) -> Connection {
        self.access.connect(&self.servers[index].endpoint).await.unwrap()
    }

    /// One command at one server.
    pub(crate) async fn at(&self, index: usize, words: &[&str]) -> Value {
        self.connect(index).await.call(words).await.unwrap()
    }

    pub(crate) async fn setslot(&self, index: usize, slot: u16, words: &[&str]) {
        let slot = slot.to_string();
        let words: Vec<&str> =
            ["CLUSTER", "SETSLOT", &slot].into_iter().chain(words.iter().copied()).collect();
        self.at(index, &words).await;
    }

    pub(crate) async fn id(&self, index: usize) -> String {
        self.at(index, &["CLUSTER", "MYID"]).await.as_str().unwrap().to_owned()
    }

    /// Which server this node is.
    pub(crate) fn index(&self, endpoint: &Endpoint) -> usize {
        self.servers.iter().position(|server| server.endpoint == *endpoint).unwrap()
    }

    /// So many slots from one server to another.
    pub(crate) async fn plan(&self, from: usize, to: usize, count: usize) -> Vec<plan::Move> {
        let cluster = self.look().await;
        let node = |index: usize| cluster.find(&self.servers[index].endpoint.to_string()).unwrap();
        plan::reshard(&[node(from)], node(to), count).unwrap()
    }

    pub(crate) async fn run(&self, moves: Vec<plan::Move>, options: &Options) -> Result<Summary, SlotsError> {
        self.run_until(moves, options, Stop::never(), &|_| {}).await
    }

    pub(crate) async fn run_until(
        &self,
        moves: Vec<plan::Move>,
        options: &Options,
        stop: Stop,
        report: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Summary, SlotsError> {
        let cluster = self.look().await;
        let guard = Guard::take(&self.access, &cluster).await?;
        Mover { access: &self.access, cluster: &cluster, options, report }.run(&guard, moves, stop).await
    }

    pub(crate) async fn repair(&self) -> Result<Cluster, SlotsError> {
        self.repair_telling(&|_| {}, false).await
    }

    pub(crate) async fn repair_telling(
        &self,
        tell: &(dyn Fn(&Repair) + Send + Sync),
        replace: bool,
    ) -> Result<Cluster, SlotsError> {
        let options = Options::default();
        let (access, entry) = (&self.access, self.entry());
        repair(&Repairs { access, entry, options: &options, replace, tell, report: &|_| {} }).await
    }

    /// Waits until nothing is wrong, keys at the wrong node included.
    pub(crate) async fn whole(&self) -> Cluster {
        let end = Instant::now() + PATIENCE;
        loop {
            let cluster = self.look().await;
            let strays = strays(&self.access, &cluster).await.unwrap_or_default();
            let findings = check(&cluster);
            if findings.is_empty() && strays.is_empty() {
                return cluster;
            }
            assert!(Instant::now() < end, "not whole: {findings:#?} {strays:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

pub(crate) fn access(password: Option<&str>) -> Access {
    let credentials = password.map(|password| Credentials { user: None, password: password.into() });
    Access::new(Connector::new(credentials.clone(), DEADLINE), credentials)
}

/// Moves by MIGRATE, whatever the server can.
pub(crate) fn by_migrate() -> Options {
    Options { method: redoubt_slots::Method::Migrate, ..Options::default() }
}
