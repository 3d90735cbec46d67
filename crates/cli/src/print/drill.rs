//! What a drill found, for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use redoubt_drill::DrillResult;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The account of a drill.
pub(crate) fn text(result: &DrillResult) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<22} {value}");
    };
    line("write gap", &or_never(result.write_gap_ms));
    line("worst writer's gap", &or_never(result.worst_writer_gap_ms));
    line("acknowledged writes", &result.acknowledged.to_string());
    line("failed tries", &result.failed.to_string());
    line(
        "lost",
        &result.lost.map_or_else(|| "unknown: no master to ask".to_owned(), |lost| lost.to_string()),
    );
    line("master before", result.master_before.as_deref().unwrap_or("nobody"));
    line("master after", result.master_after.as_deref().unwrap_or("nobody"));
    line("whole again after", &or_never(result.healthy_after_ms));
    if let Some(id) = &result.failover_id {
        line("failover", id);
        for step in &result.steps {
            line("", &format!("{:>6}.{:03} ms  {}", step.at_us / 1000, step.at_us % 1000, step.step));
        }
    }
    for trouble in &result.troubles {
        line("still wrong", trouble);
    }
    for key in &result.lost_keys {
        line("lost key", key);
    }
    let (style, verdict) = if result.passed() { (GOOD, "passed") } else { (BAD, "failed") };
    let _ = writeln!(text, "{style}{verdict}{style:#}: {} on {}", result.scenario, result.redis);
    text
}

fn or_never(ms: Option<u64>) -> String {
    ms.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms"))
}
