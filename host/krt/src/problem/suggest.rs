//! "Did you mean": the known name that a misspelt one is nearest to.

/// No known name is longer than a method's; longer texts are not misspellings of one.
const LONGEST: usize = 64;

/// Candidates that are compared; a manifest of thousands of nodes must not take seconds to say that one is unknown.
const MOST: usize = 200;

/// The candidate that `word` is likeliest a misspelling of, if any is near enough.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let folded = fold(word);
    let allowed = (folded.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(MOST)
        .filter(|candidate| candidate.len() <= LONGEST && *candidate != word)
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and separators are what people mix up first: `object_store`, `objectStore`, `object-store`.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn the_nearest_name_is_suggested() {
        assert_eq!(did_you_mean("email-clasificator", ["etl", "email-classificator"]), Some("email-classificator"));
        assert_eq!(did_you_mean("object_store", ["objectStore", "src"]), Some("objectStore"));
        assert_eq!(did_you_mean("elt", ["etl", "exitpoint"]), Some("etl"));
    }

    #[test]
    fn nothing_near_suggests_nothing() {
        assert_eq!(did_you_mean("parser", ["etl", "exitpoint"]), None);
        assert_eq!(did_you_mean(&"x".repeat(100_000), ["etl"]), None);
    }
}
