//! Suggestions for a misspelled word.

/// Returns the most similar of the words, if one is similar enough to be a suggestion.
pub fn find_nearest<'a>(
    text: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let text = normalize(text);
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&text, &normalize(word)), word))
        // one mistake for three letters, but at least one
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Returns the text in lower case and with `_` for `-`, cut to 60 characters: the comparison of
/// long words would be slow.
pub fn normalize(text: &str) -> String {
    text.chars()
        .take(60)
        .map(|c| match c {
            '-' => '_',
            _ => c.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_similar_name_is_suggested() {
        assert_eq!(find_nearest("prd", ["dev", "prod"]), Some("prod"));
        assert_eq!(
            find_nearest("Prod-EU", ["prod_us", "prod_eu"]),
            Some("prod_eu")
        );
        assert_eq!(find_nearest("staging", ["dev", "prod"]), None);
    }
}
