//! What a reply of AWS tells about time: how long a token lives, and how far our clock is off.

use crate::runtime::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far our clock is ahead of AWS's, in seconds, by the date of a reply.
pub(super) fn clock_offset(date: Option<SystemTime>) -> Option<i64> {
    let theirs = i64::try_from(date?.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let ours = i64::try_from(Moment::now().wall().as_secs()).ok()?;
    Some(ours - theirs)
}

/// What to say of a clock that is so many seconds ahead of AWS's.
pub fn off_by(offset: i64) -> String {
    let off = humantime::format_duration(Duration::from_secs(offset.unsigned_abs()));
    let side = if offset > 0 { "ahead of" } else { "behind" };
    format!("this machine's clock is off by {off} ({side} AWS's)")
}

/// The life that the token claims, on AWS's own clock. The token stays opaque otherwise: one
/// that is no JWT simply tells nothing.
pub(super) fn life(token: &str, date: Option<SystemTime>) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: u64,
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let issued = date?.duration_since(UNIX_EPOCH).ok()?;
    Duration::from_secs(claims.exp).checked_sub(issued)
}
