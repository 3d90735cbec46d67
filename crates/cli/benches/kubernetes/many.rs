//! Many tenants under one operator, and one that is broken among them.

use std::time::{Duration, Instant};

use crate::{Result, cluster::Namespace, promise, rest};

/// Tenants are spread over this many.
const NAMESPACES: usize = 10;
const LIMIT: Duration = Duration::from_mins(20);
const ALONE: Duration = Duration::from_mins(5);
/// 30 resources until all could be written to: spotahome/redis-operator 632aa3d on such a lab.
const SPOTAHOME_THIRTY: Duration = Duration::from_secs(119);

pub(crate) fn measure(tenants: usize) -> Result<()> {
    let namespaces: Vec<Namespace> =
        (0..NAMESPACES).map(|number| Namespace::new(&format!("many-{number}"))).collect::<Result<_>>()?;
    let place = |tenant: usize| (&namespaces[tenant % NAMESPACES], format!("t{tenant}"));
    let began = Instant::now();
    for (namespace, name) in (0..tenants).map(place) {
        namespace.apply(&name, "")?;
    }
    for (namespace, name) in (0..tenants).map(place) {
        namespace.ready(&name, LIMIT)?;
    }
    let took = began.elapsed();
    println!(
        "{tenants} Redis of 3 + 3 in {NAMESPACES} namespaces: all Ready after {:.0} s",
        took.as_secs_f64()
    );
    if tenants == 30 {
        let theirs = SPOTAHOME_THIRTY.as_secs_f64();
        println!("  spotahome 632aa3d: {theirs:.0} s ({:.1}x)", theirs / took.as_secs_f64());
    }
    beside_a_broken_one(&namespaces[0])?;
    rest::measure(tenants)
}

/// One whose image does not exist, and one whose password is missing, while another is made.
fn beside_a_broken_one(namespace: &Namespace) -> Result<()> {
    let one = |name: &str| {
        let began = Instant::now();
        namespace.apply(name, "")?;
        namespace.ready(name, ALONE)?;
        Ok::<_, Box<dyn std::error::Error>>(began.elapsed())
    };
    let before = one("before")?;
    namespace.apply("broken", "  image: nobody/nothing:1\n")?;
    namespace.apply("unfit", "  auth: {secretName: nobody}\n")?;
    let beside = one("beside")?;
    println!(
        "one more: Ready after {:.1} s; beside two broken ones after {:.1} s",
        before.as_secs_f64(),
        beside.as_secs_f64()
    );
    let names = ["before", "broken", "unfit", "beside"];
    namespace.kubectl(&[&["delete", "redis", "--wait=true"], &names[..]].concat())?;
    promise(beside < before * 2, "a broken one does not slow the others");
    Ok(())
}
