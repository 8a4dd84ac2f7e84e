//! The time, and the formats of dates that Airflow reads and writes.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A moment in UTC, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// Returns the current time.
    #[expect(
        clippy::disallowed_methods,
        reason = "runs have real times, whatever the script does to the clock of tokens"
    )]
    pub(crate) fn now() -> Self {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    }

    /// The moment so many seconds after the epoch.
    pub(crate) const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since the epoch.
    pub(crate) const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The same moment without its microseconds.
    pub(crate) const fn whole(self) -> Self {
        Self::from_seconds(self.seconds())
    }

    /// The moment so many seconds later.
    pub(crate) const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Reads an ISO 8601 date, or date and time, with or without an offset (UTC if none). Returns
    /// nothing for a moment after the year 9999 in UTC, which cannot be formatted.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, time) = match text.split_once(['T', ' ']) {
            Some((date, time)) => (date, time),
            None => (text, "00:00:00"),
        };
        let (time, offset) = match time.rfind(['+', '-', 'Z']) {
            Some(at) => time.split_at_checked(at)?,
            None => (time, ""),
        };
        let seconds = if time.matches(':').count() == 1 {
            ":00"
        } else {
            ""
        };
        let parsed = humantime::parse_rfc3339_weak(&format!("{date}T{time}{seconds}")).ok()?;
        let micros = parsed.duration_since(UNIX_EPOCH).ok()?.as_micros();
        let moment = Self(i64::try_from(micros).ok()?).plus(-offset_seconds(offset)?);
        (moment <= LAST).then_some(moment)
    }

    fn format(self, separator: &str) -> String {
        let text = self.rfc3339().replacen('T', separator, 1);
        let text = text.trim_end_matches('Z').trim_end_matches(".000000");
        format!("{text}+00:00")
    }

    /// Formats like Python's `isoformat()`: `2026-11-22T02:30:00+00:00`.
    pub(crate) fn iso(self) -> String {
        self.format("T")
    }

    /// Formats like the log of Airflow 2: `2026-11-22T02:30:00.123+0000`.
    pub(crate) fn log(self) -> String {
        let millis = self.rfc3339();
        format!("{}+0000", millis.get(..23).unwrap_or_default())
    }

    /// Formats like the log of Airflow 3: `2026-11-22T02:30:00.123456Z`.
    pub(crate) fn rfc3339(self) -> String {
        humantime::format_rfc3339_micros(self.system_time()).to_string()
    }

    /// The arguments of a Python `datetime`: `2026, 11, 22, 2, 30, 0, tzinfo=Timezone('UTC')`.
    pub(crate) fn python(self) -> String {
        let text = self.rfc3339();
        let parts = text.split(['-', 'T', ':', '.', 'Z']);
        let parts: Vec<u32> = parts.filter_map(|part| part.parse().ok()).collect();
        let parts = parts.strip_suffix(&[0]).unwrap_or(&parts).iter();
        let parts: Vec<String> = parts.map(u32::to_string).collect();
        format!("{}, tzinfo=Timezone('UTC')", parts.join(", "))
    }

    fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }
}

/// 9999-12-31T23:59:59.999999.
const LAST: Moment = Moment(253_402_300_799_999_999);

/// Formats like Python's `str()`: `2026-11-22 02:30:00+00:00`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(" "))
    }
}

/// The seconds of an offset such as `+02:00`, `-0530`, `Z` or nothing.
fn offset_seconds(offset: &str) -> Option<i64> {
    let (sign, digits) = match offset.split_at_checked(1) {
        None | Some(("Z", "")) => return Some(0),
        Some(("-", rest)) => (-1, rest.replace(':', "")),
        Some((_, rest)) => (1, rest.replace(':', "")),
    };
    let parts = digits.split_at_checked(2);
    let (hours, minutes) = parts.filter(|(_, rest)| matches!(rest.len(), 0 | 2))?;
    let minutes = if minutes.is_empty() { "0" } else { minutes };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn dates_are_read_in_the_usual_spellings() {
        for text in [
            "2026-11-22",
            "2026-11-22T00:00",
            "2026-11-22 00:00:00",
            "2026-11-22T00:00:00Z",
            "2026-11-22T02:00:00+02:00",
            "2026-11-21T18:30:00-0530",
        ] {
            let moment = Moment::parse(text).expect(text);
            assert_eq!(moment.iso(), "2026-11-22T00:00:00+00:00", "{text}");
        }
        let wrong = "|nope|2026-13-01|2026-11-22T25:00:00|1é2-é|9999-12-31T23:59:59-05:00|\
            2026-11-22T00:00:00+029223372036854775807";
        for text in wrong.split('|') {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
