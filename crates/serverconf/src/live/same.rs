//! Two ways to write one value.
//!
//! In doubt two values differ: to set a value again does no harm, to take a new one for the old would lose it.

use std::collections::{BTreeMap, BTreeSet};

/// Directives whose text is free, so that capital letters mean something.
const FREE_TEXT: [&str; 2] = ["locale-collate", "proc-title-template"];

/// What somebody wrote is what the server shows.
pub(super) fn same(name: &str, written: &str, shown: &str) -> bool {
    match name {
        "client-output-buffer-limit" => limits_hold(written, shown),
        "notify-keyspace-events" => events(written) == events(shown),
        _ => {
            let (written, shown) = (words(written), words(shown));
            let free_text = FREE_TEXT.contains(&name);
            let same = |(a, b): (&&str, &&str)| if free_text { a == b } else { same_word(a, b) };
            written.len() == shown.len() && written.iter().zip(&shown).all(same)
        }
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn same_word(written: &str, shown: &str) -> bool {
    written.eq_ignore_ascii_case(shown) || bytes(written).is_some_and(|bytes| Some(bytes) == plain(shown))
}

/// A number as CONFIG GET shows it: without a unit.
fn plain(text: &str) -> Option<i128> {
    text.parse().ok()
}

/// A number with a unit of memory, or without (util.c `memtoull`).
fn bytes(text: &str) -> Option<i128> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: i128 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<i128>().ok()?.checked_mul(unit)
}

/// Each class that is written has these limits; others are left as they are.
fn limits_hold(written: &str, shown: &str) -> bool {
    match (classes(written), classes(shown)) {
        (Some(written), Some(shown)) => {
            written.iter().all(|(class, limits)| shown.get(class) == Some(limits))
        }
        _ => false,
    }
}

/// `class hard soft seconds …`.
fn classes(text: &str) -> Option<BTreeMap<String, [i128; 3]>> {
    let words = words(text);
    let (all, rest) = words.as_chunks::<4>();
    let class = |[class, hard, soft, seconds]: &[&str; 4]| {
        let class = if *class == "slave" { "replica" } else { class };
        Some((class.to_ascii_lowercase(), [bytes(hard)?, bytes(soft)?, bytes(seconds)?]))
    };
    if rest.is_empty() { all.iter().map(class).collect() } else { None }
}

/// The kinds of events; `A` stands for many of them (notify.c, `NOTIFY_ALL`).
fn events(flags: &str) -> BTreeSet<char> {
    flags.trim_matches('"').replace('A', "g$lshzxetd").chars().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_value_has_many_spellings() {
        for (name, written, shown) in [
            ("maxmemory", "100mb", "104857600"),
            ("maxmemory", "100MB", "104857600"),
            ("maxmemory", "1k", "1000"),
            ("maxmemory", "1gb", "1073741824"),
            ("maxmemory-clients", "5%", "5%"),
            ("hz", "010", "10"),
            ("appendfsync", "EverySec", "everysec"),
            ("activedefrag", "YES", "yes"),
            ("list-max-listpack-size", "-2", "-2"),
            ("save", " 3600  1 300 100 ", "3600 1 300 100"),
            ("save", "", ""),
            ("notify-keyspace-events", "EA", "AE"),
            ("notify-keyspace-events", "Kg$lshzxetd", "AK"),
            (
                "client-output-buffer-limit",
                "replica 256mb 64mb 60",
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 1 1 1",
            ),
            ("client-output-buffer-limit", "slave 1 1 1", "replica 1 1 1"),
        ] {
            assert!(same(name, written, shown), "{name}: {written:?} and {shown:?}");
        }
    }

    #[test]
    fn different_values_are_never_taken_for_equal() {
        for (name, written, shown) in [
            ("maxmemory", "100mb", "100"),
            ("maxmemory", "1k", "1024"),
            ("hz", "10", "100"),
            ("save", "3600 1", "3600 1 300 100"),
            ("save", "", "3600 1"),
            ("notify-keyspace-events", "", "AKE"),
            ("proc-title-template", "Redis", "redis"),
            ("client-output-buffer-limit", "replica 0 0 0", "normal 0 0 0 slave 1 0 0"),
            ("client-output-buffer-limit", "replica 0 0", "replica 0 0 0"),
            ("maxmemory", "99999999999999999999999999999999999999gb", "0"),
        ] {
            assert!(!same(name, written, shown), "{name}: {written:?} and {shown:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_equals_itself_in_every_unit(number in 0_u64..1 << 30, unit in 0_usize..4) {
            let (name, size) = [("", 1), ("kb", 1_u64 << 10), ("mb", 1 << 20), ("gb", 1 << 30)][unit];
            let (written, shown) = (format!("{number}{name}"), (number * size).to_string());
            prop_assert!(same("maxmemory", &written, &shown));
            prop_assert!(!same("maxmemory", &written, &(number * size + 1).to_string()));
        }

        #[test]
        fn no_text_makes_it_panic(name in "client-output-buffer-limit|notify-keyspace-events|x", a: String, b: String) {
            let _ = same(&name, &a, &b);
            prop_assert!(name == "client-output-buffer-limit" || same(&name, &a, &a));
        }
    }
}
