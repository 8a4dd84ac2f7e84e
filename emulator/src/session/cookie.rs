//! The cookies of a session as Airflow writes them.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;

use super::Dialect;

/// Flask's cookie, with the end of the session as its own.
pub(super) fn flask(id: &str, expires: Duration) -> HeaderValue {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + expires);
    value(&format!(
        "session={id}; Expires={date}; Secure; HttpOnly; Path=/; SameSite=Lax"
    ))
}

/// The cookie of Airflow 3: a script may read it in 3.0 only.
pub(super) fn token(token: &str, dialect: Dialect) -> HeaderValue {
    let http_only = match dialect {
        Dialect::Three => "; HttpOnly",
        Dialect::ThreeZero | Dialect::Two => "",
    };
    value(&format!(
        "_token={token}; Path=/; Secure{http_only}; SameSite=Lax"
    ))
}

/// A header of what the emulator made up itself, which is ASCII without control characters.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
