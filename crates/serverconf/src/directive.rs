//! The directives that are free to choose: ours unless the user's say otherwise, then the user's.

use std::collections::BTreeMap;

use redoubt_redis::conf::{ConfFile, split};

/// What we choose unless the user's directives say otherwise.
const CHOSEN: [(&str, &str); 5] = [
    // Through a file. After a copy without one the master counts the replica as online, and streams nothing to it until
    // an ACK that comes up to 1 s later: seen, 110 of 110 acknowledged writes lost with a master killed in that second.
    ("repl-diskless-sync", "no"),
    // For those who choose it: no waiting for more replicas (5 s by default).
    ("repl-diskless-sync-delay", "0"),
    // A set without persistence must not come back with what was only on its way to a replica.
    ("rdb-del-sync-files", "yes"),
    // Writes of a short absence that a replica can catch up with without a full copy; 1 MB by default.
    ("repl-backlog-size", "16mb"),
    // A crash in the middle of a write leaves a torn last command; without this the node would stay down.
    ("aof-load-truncated", "yes"),
];

/// Name and value of all that is free to choose.
pub(crate) fn chosen(users: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let users = users.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    CHOSEN.into_iter().chain(users).collect()
}

/// Adds a directive whose words somebody wrote as they stand in a file, with quotes of their own. Whatever the value
/// holds, it stays on its line.
pub(crate) fn add_written(file: &mut ConfFile, name: &[&str], value: &str) {
    let words = split(value).ok().filter(|words| !words.is_empty());
    let words = words.unwrap_or_else(|| vec![value.trim().to_owned()]);
    // Redis 6.2 takes one client class a line.
    let a_line = if name == ["client-output-buffer-limit"] { 4 } else { words.len() };
    for words in words.chunks(a_line) {
        file.add(name, words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, value: &str) -> String {
        let mut file = ConfFile::default();
        add_written(&mut file, &[name], value);
        file.to_string()
    }

    #[test]
    fn the_user_chooses_otherwise() {
        let users = BTreeMap::from([("repl-backlog-size".to_owned(), "1gb".to_owned())]);
        let chosen = chosen(&users);
        assert_eq!(chosen["repl-backlog-size"], "1gb");
        assert_eq!(chosen["repl-diskless-sync-delay"], "0");
    }

    #[test]
    fn what_somebody_wrote_means_the_same_in_the_file_and_stays_on_its_line() {
        for (name, value, line) in [
            ("maxmemory", " 1gb ", "maxmemory 1gb\n"),
            ("notify-keyspace-events", "", "notify-keyspace-events \"\"\n"),
            ("proc-title-template", "\"{title} {port}\"", "proc-title-template \"{title} {port}\"\n"),
            ("hz", "10\nreplicaof 10.0.0.1 6379", "hz 10 replicaof 10.0.0.1 6379\n"),
            ("proc-title-template", "an \"open quote", "proc-title-template \"an \\\"open quote\"\n"),
        ] {
            assert_eq!(written(name, value), line);
        }
    }

    #[test]
    fn each_client_class_has_its_line() {
        let file = written("client-output-buffer-limit", "normal 0 0 0  replica 256mb 64mb 60");
        let expected =
            "client-output-buffer-limit normal 0 0 0\nclient-output-buffer-limit replica 256mb 64mb 60\n";
        assert_eq!(file, expected);
    }
}
