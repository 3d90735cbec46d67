//! The known name that was probably meant.

/// How alike two names must be to be offered, from 0 to 1: `replica` and `replicas` are, `size` and `save` are not.
const ALIKE: f64 = 0.75;

/// The known name nearest to this one, if any is near. Case and separators do not count.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = plain(name);
    let score = |candidate: &str| {
        let candidate = plain(candidate);
        let typing = strsim::normalized_damerau_levenshtein(&name, &candidate);
        let swapped = strsim::jaro_winkler(&name, &candidate) * 0.9;
        typing.max(swapped)
    };
    let scored = known.into_iter().map(|candidate| (score(candidate), candidate));
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_name_that_was_meant_is_offered() {
        let known = ["replicas", "sentinel", "downAfter", "failoverTimeout", "persistence", "storageClass"];
        for (typed, meant) in [
            ("replica", Some("replicas")),
            ("Sentinels", Some("sentinel")),
            ("down-after", Some("downAfter")),
            ("failoverTimout", Some("failoverTimeout")),
            ("persistance", Some("persistence")),
            ("storageClassName", Some("storageClass")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
