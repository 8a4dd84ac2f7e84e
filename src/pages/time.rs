//! How long something took or takes, in the few words that a person needs.

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
}
