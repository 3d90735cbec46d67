//! From `kubectl apply` to Ready.

use std::time::Duration;

use crate::{Result, cluster::Namespace, median, promise};

/// Images present, 3 nodes and 3 Sentinels.
const MARK: Duration = Duration::from_secs(15);
const LIMIT: Duration = Duration::from_mins(5);
/// Until it could be written to: spotahome/redis-operator 632aa3d, median of its rounds on such a lab.
const SPOTAHOME: Duration = Duration::from_millis(36_100);

pub(crate) fn measure(rounds: usize) -> Result<()> {
    let mut took = Vec::new();
    for round in 1..=rounds {
        let namespace = Namespace::new(&format!("create-{round}"))?;
        let began = std::time::Instant::now();
        namespace.apply("cart", "")?;
        namespace.ready("cart", LIMIT)?;
        took.push(began.elapsed());
        eprintln!("{round:>3}  created after {:.1} s", began.elapsed().as_secs_f64());
    }
    let median = median(took).unwrap_or_default();
    println!(
        "apply to Ready, 3 + 3: {:.1} s; spotahome 632aa3d {:.1} s ({:.1}x)",
        median.as_secs_f64(),
        SPOTAHOME.as_secs_f64(),
        SPOTAHOME.as_secs_f64() / median.as_secs_f64()
    );
    promise(median <= MARK, &format!("at most {} s", MARK.as_secs()));
    Ok(())
}
