//! A client that writes, and what it tells: `ok <number>` for every acknowledged write, `retry <error>` for every
//! error it expected, `refused <error>` for every write that the fence refused, `master <address>` at its end if it came
//! by Sentinels.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use redis::Connection;
use serde_json::{Value, json};

use super::redis_rs;
use crate::lab::{Lab, wait_for};

/// Its keys are `ride:<number>`.
const PREFIX: &str = "ride";
/// A stretch of writes takes well under a second; a busy machine takes longer.
const PATIENCE: u64 = 60;

/// A client at work.
pub(crate) struct Rider {
    told: PathBuf,
    course: Course,
}

enum Course {
    /// It ends when its standard input does.
    Program(Child),
    /// It ends when this is set.
    Thread(JoinHandle<()>, Arc<AtomicBool>),
}

/// Everything it told.
pub(crate) struct Told(Vec<String>);

impl Rider {
    /// redis-py, if it is installed.
    pub(crate) fn redis_py(lab: &Lab, ride: &Value) -> Option<Self> {
        Self::program(
            lab,
            ride,
            "redis-py",
            Command::new("python3").env("PYTHONPATH", installed("redis-py")?),
            "redis_py.py",
        )
    }

    /// ioredis, if it is installed.
    pub(crate) fn ioredis(lab: &Lab, ride: &Value) -> Option<Self> {
        let modules = installed("ioredis")?.join("node_modules");
        Self::program(lab, ride, "ioredis", Command::new("node").env("NODE_PATH", modules), "ioredis.js")
    }

    /// redis-rs, in this process.
    #[expect(clippy::unnecessary_wraps, reason = "as the others")]
    pub(crate) fn redis_rs(lab: &Lab, ride: &Value) -> Option<Self> {
        let told = lab.dir().join("told");
        let (out, ride) = (File::create(&told).unwrap(), ride.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || redis_rs::ride(&ride, &stopped, out));
        Some(Self { told, course: Course::Thread(thread, stop) })
    }

    fn program(
        lab: &Lab,
        ride: &Value,
        library: &str,
        interpreter: &mut Command,
        script: &str,
    ) -> Option<Self> {
        let told = lab.dir().join("told");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        interpreter.arg(script).env("RIDE", ride.to_string());
        let started = interpreter.stdin(Stdio::piped()).stdout(File::create(&told).unwrap()).spawn();
        match started {
            Ok(child) => Some(Self { told, course: Course::Program(child) }),
            Err(error) => {
                eprintln!("left out: {library} cannot be started: {error}");
                None
            }
        }
    }

    /// Waits until it has written so many more keys.
    #[track_caller]
    pub(crate) fn writes(&mut self, more: usize) {
        let wanted = self.acknowledged() + more;
        wait_for(&format!("{wanted} writes"), PATIENCE, || self.acknowledged() >= wanted || self.has_ended());
        assert!(!self.has_ended(), "it met an error it did not expect: {:#?}", Told::read(&self.told));
    }

    /// Lets it finish its write, and gives what it told.
    #[track_caller]
    pub(crate) fn end(mut self) -> Told {
        match &mut self.course {
            Course::Program(child) => {
                drop(child.stdin.take());
                assert!(child.wait().unwrap().success(), "{:#?}", Told::read(&self.told));
            }
            Course::Thread(_, stop) => {
                stop.store(true, Ordering::Relaxed);
                wait_for("the last write", PATIENCE, || self.has_ended());
            }
        }
        Told::read(&self.told)
    }

    pub(crate) fn acknowledged(&self) -> usize {
        Told::read(&self.told).acknowledged().count()
    }

    /// It ends by itself only on an error, whose last words are on standard error.
    fn has_ended(&mut self) -> bool {
        match &mut self.course {
            Course::Program(child) => child.try_wait().unwrap().is_some(),
            Course::Thread(thread, _) => thread.is_finished(),
        }
    }
}

impl Drop for Rider {
    fn drop(&mut self) {
        match &mut self.course {
            Course::Program(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Course::Thread(_, stop) => stop.store(true, Ordering::Relaxed),
        }
    }
}

impl Told {
    fn read(from: &Path) -> Self {
        Self(fs::read_to_string(from).unwrap().lines().map(str::to_owned).collect())
    }

    /// The numbers of the acknowledged writes. A last line that is only half there does not count.
    pub(crate) fn acknowledged(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|line| line.strip_prefix("ok ")?.parse().ok())
    }

    /// Where it was connected at its end.
    #[track_caller]
    pub(crate) fn master(&self) -> &str {
        self.0
            .iter()
            .find_map(|line| line.strip_prefix("master "))
            .unwrap_or_else(|| panic!("no end: {self:#?}"))
    }

    /// How many writes the fence refused.
    pub(crate) fn refused(&self) -> usize {
        self.0.iter().filter(|line| line.starts_with("refused ")).count()
    }

    /// The acknowledged writes that this server does not have.
    pub(crate) fn lost(&self, server: &mut Connection) -> Vec<u64> {
        let mut has = |number: &u64| {
            let value: Option<u64> =
                redis::cmd("GET").arg(format!("{PREFIX}:{number}")).query(server).unwrap();
            value == Some(*number)
        };
        self.acknowledged().filter(|number| !has(number)).collect()
    }
}

/// All but the acknowledgements.
impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = self.0.iter().filter(|line| !line.starts_with("ok "));
        write!(f, "{} acknowledged, ", self.acknowledged().count())?;
        f.debug_list().entries(other).finish()
    }
}

/// What a client of a cluster is told.
pub(crate) fn cluster_ride(nodes: &[&str]) -> Value {
    json!({ "nodes": nodes.iter().map(|node| address(node)).collect::<Vec<_>>(), "prefix": PREFIX })
}

/// What a client of a cluster that is looked after is told. Masters die: a write of the last moment may go with one.
pub(crate) fn deadly_ride(nodes: &[&str], password: &str) -> Value {
    let mut ride = cluster_ride(nodes);
    ride["password"] = password.into();
    ride["deaths"] = true.into();
    ride
}

/// What a client is told, by `redoubt connection` alone.
pub(crate) fn ride(lab: &Lab) -> Value {
    let of = lab.connection("cart");
    let sentinels = of["sentinels"].as_array().unwrap().iter();
    json!({
        "sentinels": sentinels.map(|one| address(one.as_str().unwrap())).collect::<Vec<_>>(),
        "masterName": of["masterName"],
        "password": of["password"],
        "sentinelPassword": of["sentinelPassword"],
        "prefix": PREFIX,
    })
}

fn address(text: &str) -> Value {
    let (host, port) = text.rsplit_once(':').unwrap();
    json!([host, port.parse::<u16>().unwrap()])
}

/// Where a library is, if `make test` could install it.
fn installed(library: &str) -> Option<PathBuf> {
    let at = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(library);
    if at.is_dir() {
        return Some(at);
    }
    eprintln!("left out: {library} is not installed; `make test` does that where python3 and node are");
    None
}
