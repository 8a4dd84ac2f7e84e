//! Text for people: durations, and log lines as sentences.

use std::time::Duration;

/// Returns a duration as `12 s`, `3 min`, `2 h 5 min` or `4 days`: at most two units, in full
/// seconds.
pub(super) fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    let hours = seconds / 3600;
    let days = seconds / 86_400;

    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) if minutes.is_multiple_of(60) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (1, _, _) => "1 day".to_owned(),
        _ => format!("{days} days"),
    }
}

/// Returns the time since something happened, as `12 s ago`.
pub(super) fn format_age(age: Duration) -> String {
    // Shown in full seconds: `0 s ago` would be odd.
    if age < Duration::from_secs(1) {
        "just now".to_owned()
    } else {
        format!("{} ago", format_duration(age))
    }
}

/// Returns a text as a sentence. The texts of faults are in lower case and without a period, like
/// log lines.
pub(super) fn format_sentence(text: &str) -> String {
    let mut sentence = with_capital(text);
    // A colon introduces what follows the text, for example a list.
    if !sentence.is_empty() && !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
}

/// Returns a text with a capital at its start, unless its first word is a name (`aws.region`,
/// `<dag>`).
pub(super) fn with_capital(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    let is_word = first
        .trim_end_matches([',', ';', ':'])
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b == b'\'');

    let mut letters = text.chars();
    match letters.next() {
        Some(first) if is_word => first.to_uppercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (86_400, "1 day"),
            (400_000, "4 days"),
        ] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format_age(Duration::from_millis(900)), "just now");
        assert_eq!(format_age(Duration::from_secs(12)), "12 s ago");
    }

    #[test]
    fn log_lines_become_sentences() {
        for (text, expected) in [
            ("no slot became free", "No slot became free."),
            ("don't, and look", "Don't, and look."),
            ("aws.region is not set", "aws.region is not set."),
            ("Ask again!", "Ask again!"),
            ("é", "é."),
            ("", ""),
        ] {
            assert_eq!(format_sentence(text), expected);
        }
    }
}
