//! The known name that somebody may have meant.

/// The nearest of the known names, if one is near enough to be a slip of it.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let meant = plain(name);
    let slips_max = (meant.chars().count() / 3).clamp(1, 4);
    (known.into_iter())
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&meant, &plain(candidate)),
                candidate,
            )
        })
        .filter(|(slips, candidate)| *slips <= slips_max && *slips < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many names a help lists before it stops.
const LISTED_MAX: usize = 16;

/// "did you mean …?", or the known names.
pub(super) fn suggest<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
    what: &str,
) -> String {
    if let Some(nearest) = nearest(name, known.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_unstable();
    let more = if names.len() > LISTED_MAX {
        ", …"
    } else {
        ""
    };
    names.truncate(LISTED_MAX);
    match names.as_slice() {
        [] => format!("there are no {what}"),
        names => format!("{what}: {}{more}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        let known = ["origins", "routes", "stale_if_error", "ttl", "to"];
        let cases = [
            ("originss", Some("origins")),
            ("orgins", Some("origins")),
            ("Routes", Some("routes")),
            ("stale-if-error", Some("stale_if_error")),
            ("tll", Some("ttl")),
            ("x", None),
            ("hosts", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
