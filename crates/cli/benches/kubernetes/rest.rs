//! What the operators cost while nothing happens: requests as the API server counts them, memory, time of a processor.

use std::time::{Duration, Instant};

use crate::{
    Result,
    cluster::{SYSTEM, kubectl},
    promise,
};

/// How long is counted.
const MINUTE: Duration = Duration::from_mins(1);
/// What a change leaves to be told of is told within this.
const SETTLED: Duration = Duration::from_secs(30);
/// Of each operator, in a minute.
const REQUESTS: f64 = 10.0;
const MEMORY_MIB: f64 = 64.0;
/// Percent of a core.
const PROCESSOR: f64 = 1.0;
/// Of a process's times in `/proc`, a second; a constant of Linux.
const TICKS: f64 = 100.0;
/// Needless writes of spotahome/redis-operator 632aa3d, for one resource in a minute, as measured on such a lab.
const SPOTAHOME_WRITES: u64 = 22;

/// The API server sorts the operators' requests by these, and counts each sort. The Lease is theirs alone, and apart.
const SORTS: [(&str, &str, &str, &str); 3] = [
    ("redoubt-bench-lease", "90", "[\"*\"]", "{apiGroups: [coordination.k8s.io], resources: [leases]"),
    ("redoubt-bench-reads", "91", "[get, list, watch]", "{apiGroups: [\"*\"], resources: [\"*\"]"),
    (
        "redoubt-bench-writes",
        "92",
        "[create, update, patch, delete, deletecollection]",
        "{apiGroups: [\"*\"], resources: [\"*\"]",
    ),
];

pub(crate) fn measure(tenants: usize) -> Result<()> {
    let _sorted = Sorted::begin()?;
    wait(SETTLED);
    let leader = leader()?;
    let (before, used) = (requests()?, processor(&leader)?);
    let began = Instant::now();
    wait(MINUTE);
    let (after, used) = (requests()?, processor(&leader)? - used);
    let [lease, reads, writes] = std::array::from_fn(|sort| after[sort] - before[sort]);
    let percent = used / TICKS / began.elapsed().as_secs_f64() * 100.0;
    let memory = memory_mib(&leader)?;
    println!(
        "at rest, {tenants} Redis, one minute, two operators: {writes} writes, {reads} reads, {lease} of the Lease"
    );
    println!("  spotahome 632aa3d: {SPOTAHOME_WRITES} writes for each resource");
    promise(writes < 1.0, "nothing is written");
    promise(
        reads + lease <= 2.0 * REQUESTS,
        &format!("at most {REQUESTS} requests of each operator, the Lease included"),
    );
    println!("the operator that leads: {memory:.1} MiB, {percent:.2} % of a core");
    promise(memory <= MEMORY_MIB, &format!("at most {MEMORY_MIB} MiB"));
    promise(percent < PROCESSOR, &format!("less than {PROCESSOR} % of a core"));
    Ok(())
}

/// Nothing is what is waited for.
#[expect(clippy::disallowed_methods, reason = "what must not happen tells nobody")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Sorts of requests, removed when this is dropped.
struct Sorted;

impl Sorted {
    fn begin() -> Result<Self> {
        for (name, precedence, verbs, what) in SORTS {
            let schema = format!(
                "apiVersion: flowcontrol.apiserver.k8s.io/v1\n\
                 kind: FlowSchema\n\
                 metadata: {{name: {name}}}\n\
                 spec:\n\
                 \x20 matchingPrecedence: {precedence}\n\
                 \x20 priorityLevelConfiguration: {{name: workload-high}}\n\
                 \x20 distinguisherMethod: {{type: ByUser}}\n\
                 \x20 rules:\n\
                 \x20 - subjects: [{{kind: ServiceAccount, serviceAccount: {{name: redoubt-operator, namespace: {SYSTEM}}}}}]\n\
                 \x20   resourceRules: [{what}, verbs: {verbs}, clusterScope: true, namespaces: [\"*\"]}}]\n"
            );
            kubectl(&["apply", "--filename", "-"], &schema)?;
        }
        Ok(Self)
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        let names = SORTS.map(|(name, ..)| name);
        if let Err(error) = kubectl(&[&["delete", "flowschema"], &names[..]].concat(), "") {
            eprintln!("{} stay behind: {error}", names.join(", "));
        }
    }
}

/// How many there were of each sort.
fn requests() -> Result<[f64; 3]> {
    let metrics = kubectl(&["get", "--raw", "/metrics"], "")?;
    let mut counts = [0.0; 3];
    for line in
        metrics.lines().filter(|line| line.starts_with("apiserver_flowcontrol_dispatched_requests_total"))
    {
        let of = SORTS.iter().position(|(name, ..)| line.contains(&format!("flow_schema=\"{name}\"")));
        if let (Some(of), Some((_, count))) = (of, line.rsplit_once(' ')) {
            counts[of] += count.parse::<f64>()?;
        }
    }
    Ok(counts)
}

fn leader() -> Result<String> {
    let lease = ["get", "lease", "redoubt-operator", "--namespace", SYSTEM];
    kubectl(&[&lease[..], &["--output", "jsonpath={.spec.holderIdentity}"]].concat(), "")
}

fn of_process(pod: &str, file: &str) -> Result<String> {
    kubectl(&["exec", pod, "--namespace", SYSTEM, "--", "cat", &format!("/proc/1/{file}")], "")
}

/// Ticks.
fn processor(pod: &str) -> Result<f64> {
    let stat = of_process(pod, "stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime are the 14th and 15th field; what is left begins with the third.
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Ok(ticks(11).zip(ticks(12)).map(|(user, system)| user + system).ok_or("no times in /proc/1/stat")?)
}

fn memory_mib(pod: &str) -> Result<f64> {
    let status = of_process(pod, "status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/1/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
