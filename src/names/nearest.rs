//! Which of the known words somebody may have meant who wrote one that is not known.

/// The nearest of the words, if it is near enough to be meant.
pub fn nearest<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = plain(text);
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&text, &plain(word)), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Without case, and with `_` for `-`; cut, so that a long word costs nothing.
pub fn plain(text: &str) -> String {
    text.chars()
        .take(60)
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_meant_and_what_is_far_is_not() {
        assert_eq!(nearest("prd", ["dev", "prod"]), Some("prod"));
        assert_eq!(nearest("Prod-EU", ["prod_us", "prod_eu"]), Some("prod_eu"));
        assert_eq!(nearest("staging", ["dev", "prod"]), None);
    }
}
