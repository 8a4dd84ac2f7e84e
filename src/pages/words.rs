//! Words for people: how long something took or takes, and log lines as sentences.

use std::time::Duration;

/// `12 s`, `3 min`, `2 h 5 min`, `4 days`: two units at most, nothing finer than a second.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) if minutes % 60 == 0 => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (1, _, _) => "1 day".to_owned(),
        _ => format!("{days} days"),
    }
}

/// The same as a time gone by.
pub(super) fn ago(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        "just now".to_owned()
    } else {
        format!("{} ago", span(duration))
    }
}

/// Faults are told in lower case and without a period, as log lines are.
pub(super) fn sentence(text: &str) -> String {
    let mut sentence = capital(text);
    if !sentence.is_empty() && !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
}

/// Begins with a capital, unless the first word is a name (`aws.region`, `<dag>`).
pub(super) fn capital(text: &str) -> String {
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
    fn spans_are_told_as_people_tell_them() {
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
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(ago(Duration::from_millis(900)), "just now");
        assert_eq!(ago(Duration::from_secs(12)), "12 s ago");
    }

    #[test]
    fn log_lines_become_sentences() {
        for (text, told) in [
            ("no slot became free", "No slot became free."),
            ("don't, and look", "Don't, and look."),
            ("aws.region is not set", "aws.region is not set."),
            ("Ask again!", "Ask again!"),
            ("é", "é."),
            ("", ""),
        ] {
            assert_eq!(sentence(text), told);
        }
    }
}
