//! Percent-decoding of paths, and what a path may mean once it is decoded.

use super::PathFault;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// No slash at the end. The root is empty.
pub(super) fn trimmed(path: &str) -> &str {
    path.trim_end_matches('/')
}

/// The readings of a path of which these are the decodings; none where there are none, since
/// such a path can be read in one way only.
pub(super) fn readings(decodings: Vec<String>) -> Vec<String> {
    let Some(whole) = decodings.last() else {
        return decodings;
    };
    let plain: String = whole
        .split(['/', '\\'])
        .filter(|segment| !segment.is_empty())
        .flat_map(|segment| ["/", segment])
        .collect();
    let mut readings: Vec<String> = Vec::with_capacity(3);
    let (once, whole) = (decodings.first(), decodings.last());
    for other in once.into_iter().chain(whole).chain([&plain]) {
        let other = trimmed(other);
        if !readings.iter().any(|reading| reading == other) {
            readings.push(other.to_owned());
        }
    }
    readings
}

/// Undoes percent-encoding again and again, until nothing is left to undo. A path that takes
/// many rounds has no honest reading, and would cost time.
pub(super) fn decodings(path: &str) -> Result<Vec<String>, PathFault> {
    let mut decodings: Vec<String> = Vec::new();
    if !path.contains('%') {
        // empty segments alone may be read in two ways
        return Ok(if path.contains("//") {
            vec![path.to_owned()]
        } else {
            decodings
        });
    }
    loop {
        let text = decodings.last().map_or(path, String::as_str);
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        if decoded == text {
            return Ok(decodings);
        }
        if decodings.len() == MOST_DECODINGS {
            return Err(PathFault::Escape);
        }
        let decoded = decoded.into_owned();
        decodings.push(decoded);
    }
}

/// A name that is encoded more often than this is no name.
const MOST_DECODINGS: usize = 4;

/// Undoes percent-encoding (RFC 3986 section 2.1), refusing what must not be hidden in it.
/// An opaque text may hide slashes, backslashes and percent signs.
pub(super) fn decode(text: &str, opaque: bool) -> Result<Cow<'_, [u8]>, PathFault> {
    if !text.bytes().any(|b| b == b'%') {
        return Ok(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(PathFault::Escape);
        };
        let value = u8::try_from(high * 16 + low).unwrap_or(0);
        let hides = matches!(value, b'\\' | b'%' | b'/') && !opaque;
        if value < 0x20 || value == 0x7f || hides {
            return Err(PathFault::Escape);
        }
        decoded.push(value);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(PathFault::Escape);
    }
    Ok(Cow::Owned(decoded))
}
