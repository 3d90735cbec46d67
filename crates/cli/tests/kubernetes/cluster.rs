//! A namespace for one test, on the cluster that `KUBECONFIG` names.

use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    process::{Command, Output, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::fault::{calm, left_out};

/// Where the operator is that looks after every namespace.
pub(crate) const SYSTEM: &str = "redoubt-system";
/// Names the image with this program, as the cluster's machines have it.
const IMAGE: &str = "REDOUBT_TEST_IMAGE";
/// A cluster on a busy machine of two cores takes its time.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
/// A set for a machine that is busy with all the other tests: nobody is taken for dead who waits for its turn there.
pub(crate) const PATIENT: &str = "
apiVersion: redoubt.dev/v1
kind: Redis
metadata: {name: cart}
spec:
  mode: Sentinel
  sentinel: {downAfter: 30s}
  durability: {hangLimit: 20s}
";
/// The same for a set that also has to be left to its Sentinels in time; to be appended to a `spec`.
pub(crate) const UNHURRIED: &str = "  sentinel: {downAfter: 10s}\n  durability: {hangLimit: 8s}\n";
/// Between two looks at what nobody tells us of.
const LOOK: Duration = Duration::from_millis(200);

/// A namespace; it and all that is in it go when this is dropped.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// `None`, with the reason on standard error, where there is no cluster.
    pub(crate) fn new(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let missing = ["KUBECONFIG", IMAGE].into_iter().find(|name| env::var_os(name).is_none());
        if let Some(missing) = missing {
            left_out(
                test,
                &format!("{missing} is not set; it takes a cluster whose machines have that image"),
            );
            return None;
        }
        calm();
        operator();
        let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        kubectl(&["create", "namespace", &name]);
        kubectl(&["label", "namespace", &name, "pod-security.kubernetes.io/enforce=restricted"]);
        Some(Self { name })
    }

    /// `kubectl` in this namespace; fails loudly.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        kubectl(&[&["--namespace", &self.name], args].concat())
    }

    /// `redoubt` in this namespace.
    pub(crate) fn redoubt(&self, args: &[&str]) -> Said {
        let (command, rest) = args.split_first().expect("a command");
        said(
            Command::new(env!("CARGO_BIN_EXE_redoubt")).args([command, "--namespace", &self.name]).args(rest),
        )
    }

    /// What `kubectl apply` says of this, and whether it was accepted.
    pub(crate) fn apply(&self, yaml: &str) -> Result<String, String> {
        let output = run(&["--namespace", &self.name, "apply", "--validate=strict", "--filename", "-"], yaml);
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// An object as JSON; `None` where there is none.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let output = run(&["--namespace", &self.name, "get", kind, name, "--output", "json"], "");
        if output.status.success() {
            return Some(serde_json::from_slice(&output.stdout).unwrap());
        }
        let why = text(&output.stderr);
        assert!(why.contains("NotFound"), "{why}");
        None
    }

    /// What is called `cart` or `redisfailover/cart`.
    pub(crate) fn resource(&self, name: &str) -> Option<Value> {
        let (kind, name) = name.split_once('/').unwrap_or(("redis", name));
        self.get(kind, name)
    }

    /// The `status` and the message of a condition.
    pub(crate) fn condition(&self, redis: &str, kind: &str) -> Option<(String, String, String)> {
        let redis = self.resource(redis)?;
        let conditions = redis["status"]["conditions"].as_array()?;
        let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
        let field = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
        Some((field("status"), field("reason"), field("message")))
    }

    pub(crate) fn ready(&self, redis: &str) {
        wait(&format!("{redis} is Ready"), || {
            let condition = self.condition(redis, "Ready");
            (condition.as_ref().is_some_and(|(status, _, _)| status == "True"))
                .then_some(())
                .ok_or(format!("{condition:?}"))
        });
    }

    /// Writes a key to `cart` that all its nodes have then; answers who leads.
    pub(crate) fn greet(&self) -> String {
        let said = |of: &str, command: &str, expected: &str| match self.redis_cli("cart", of, command) {
            Ok(said) if said == expected => Ok(()),
            other => Err(format!("{of}, {command}: {other:?}")),
        };
        // A client that is told NOREPLICAS tries again: on a busy machine a master may miss its Sentinels for a moment.
        wait("the greeting is at all nodes", || {
            let master = self.master("cart").ok_or("nobody leads")?;
            said(&master, "SET greeting hello", "OK")?;
            said(&master, "WAIT 2 10000", "2")?;
            Ok(master)
        })
    }

    /// One entry of the Secret that was made for this Redis.
    pub(crate) fn secret(&self, redis: &str, entry: &str) -> String {
        let secret = self.get("secret", &format!("{redis}-auth")).expect("its Secret");
        base64(secret["data"][entry].as_str().unwrap_or_default())
    }

    /// Another leads than this one.
    pub(crate) fn another_leads(&self, redis: &str, before: &str) -> String {
        wait("another leads", || match self.master(redis) {
            Some(master) if master != before => Ok(master),
            other => Err(format!("{other:?}")),
        })
    }

    /// A condition says these words.
    pub(crate) fn says(&self, redis: &str, kind: &str, words: &str) {
        wait(&format!("{kind} of {redis} says {words:?}"), || {
            let said = self.condition(redis, kind).map(|(_, _, message)| message).unwrap_or_default();
            if said.contains(words) { Ok(()) } else { Err(said) }
        });
    }

    /// The uids of the pods of this Redis, by name.
    pub(crate) fn uids(&self, redis: &str) -> BTreeMap<String, String> {
        let selector = format!("app.kubernetes.io/instance={redis}");
        let path = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
        let listed = self.kubectl(&["get", "pods", "--selector", &selector, "--output", path]);
        let pair = |line: &str| line.split_once(' ').map(|(name, uid)| (name.to_owned(), uid.to_owned()));
        listed.lines().filter_map(pair).collect()
    }

    /// Who leads, as the status has it.
    pub(crate) fn master(&self, redis: &str) -> Option<String> {
        self.resource(redis)?["status"]["master"].as_str().map(str::to_owned)
    }

    /// `redis-cli` in this pod, with the password of the Redis.
    pub(crate) fn redis_cli(&self, redis: &str, pod: &str, command: &str) -> Result<String, String> {
        let password = self.secret(redis, "password");
        self.shell(pod, &format!("export REDISCLI_AUTH='{password}'; redis-cli {command}\n"))
    }

    /// What a shell beside the server says to this; by way of standard input, since arguments can be read by everybody.
    pub(crate) fn shell(&self, pod: &str, script: &str) -> Result<String, String> {
        self.shell_in(pod, "redis", script)
    }

    /// The same in another container.
    pub(crate) fn shell_in(&self, pod: &str, container: &str, script: &str) -> Result<String, String> {
        let args = ["--namespace", &self.name, "exec", "--stdin", pod, "--container", container, "--", "sh"];
        let output = run(&args, script);
        if output.status.success() {
            Ok(text(&output.stdout).trim().to_owned())
        } else {
            Err(text(&output.stderr))
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let everything = ["--namespace", &self.name, "get", "redis,pods,events", "--output", "wide"];
            eprintln!("{}", text(&run(&everything, "").stdout));
        }
        let output = run(&["delete", "namespace", &self.name, "--wait=false"], "");
        if !output.status.success() {
            eprintln!("{} stays behind: {}", self.name, text(&output.stderr));
        }
    }
}

/// Installs the operator, once for all tests.
fn operator() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        install(SYSTEM, &[]);
        kubectl(&["wait", "--for=condition=Established", "crd/redises.redoubt.dev", "--timeout=60s"]);
        operates(SYSTEM);
    });
}

/// Applies what `redoubt manifests` prints for an operator in this namespace.
pub(crate) fn install(namespace: &str, more: &[&str]) {
    let image = env::var(IMAGE).unwrap();
    let args = [&["manifests", "--image", &image, "--namespace", namespace], more].concat();
    let manifests = said(Command::new(env!("CARGO_BIN_EXE_redoubt")).args(args)).well();
    let output = run(&["apply", "--server-side", "--force-conflicts", "--filename", "-"], &manifests);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Waits for the operator of this namespace.
pub(crate) fn operates(namespace: &str) {
    let deployment = "deployment/redoubt-operator";
    kubectl(&["rollout", "status", deployment, "--namespace", namespace, "--timeout=180s"]);
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it said, if it did what was asked.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs a command to its end.
pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Until this is so, with what was seen last when it never is.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) => {
                assert!(Instant::now() < until, "not within {} s: {what}; seen: {seen}", PATIENCE.as_secs());
            }
        }
        #[expect(clippy::disallowed_methods, reason = "kubectl tells nobody when something changes")]
        std::thread::sleep(LOOK);
    }
}

pub(crate) fn kubectl(args: &[&str]) -> String {
    let output = run(args, "");
    assert!(output.status.success(), "kubectl {}: {}", args.join(" "), text(&output.stderr));
    text(&output.stdout)
}

/// `kubectl`, with this on its standard input.
pub(crate) fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new("kubectl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl is in PATH");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard base64, as Secrets have it.
fn base64(encoded: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = encoded.bytes().filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte));
    let (mut bits, mut held, mut bytes) = (0_usize, 0, Vec::new());
    for value in values {
        bits = (bits << 6) | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held).unwrap());
            bits &= (1 << held) - 1;
        }
    }
    String::from_utf8(bytes).unwrap()
}
