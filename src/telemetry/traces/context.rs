//! W3C Trace Context: the field `traceparent` of a request (<https://www.w3.org/TR/trace-context/>).

use std::fmt;

/// A position in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// True if the trace is recorded.
    pub is_sampled: bool,
}

/// The id of a trace; not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub u128);

/// The id of a span; not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId(pub u64);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl SpanId {
    /// Returns a random id.
    pub(super) fn random() -> Self {
        Self(fastrand::u64(1..))
    }
}

impl TraceId {
    /// Returns a random id.
    pub(super) fn random() -> Self {
        Self(fastrand::u128(1..))
    }
}

impl TraceContext {
    /// Parses the value of `traceparent`. Returns `None` if it breaks the grammar: such a request
    /// begins a trace of its own.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(SIZE)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let version = parse_hex(parts.next()?, 2)?;
        let trace = parse_hex(parts.next()?, 32)?;
        let span = parse_hex(parts.next()?, 16)?;
        let flags = parse_hex(parts.next()?, 2)?;

        // later versions may add something
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let is_valid = fits && parts.next().is_none() && trace != 0 && span != 0;
        is_valid.then_some(Self {
            trace: TraceId(trace),
            span: SpanId(u64::try_from(span).ok()?),
            is_sampled: flags & 1 == 1,
        })
    }
}

impl fmt::Display for TraceContext {
    /// Writes the value of `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span, flags) = (self.trace, self.span.0, u8::from(self.is_sampled));
        write!(f, "00-{trace}-{span:016x}-{flags:02x}")
    }
}

/// Parses a number of so many lower-case digits.
fn parse_hex(digits: &[u8], size: usize) -> Option<u128> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != size || !digits.iter().all(is_hex) {
        return None;
    }
    u128::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// The size of a value of version 00, in bytes.
const SIZE: usize = 55;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_the_grammar_s_values_are_parsed() {
        let context = TraceContext::parse(GOOD.as_bytes()).unwrap();
        assert!(context.is_sampled);
        assert_eq!(context.span, SpanId(0xb7ad_6b71_6920_3331));
        assert_eq!(context.to_string(), GOOD);
        for (good, sampled) in [
            (GOOD.replace("-01", "-00"), false),
            (GOOD.replace("-01", "-ff"), true),
            (GOOD.replacen("00", "cc", 1), true),
            (
                GOOD.replacen("00", "cc", 1) + "-what the future brings",
                true,
            ),
        ] {
            let context = TraceContext::parse(good.as_bytes()).unwrap();
            assert_eq!(context.is_sampled, sampled, "{good}");
        }

        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", "0g", 1),
            GOOD.replacen("00", "cc", 1) + ".x",
            format!("{GOOD}-00"),
            format!(" {GOOD}"),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace("-b7ad6b71", "b-7ad6b71"),
            GOOD.replace("b7ad", "+7ad"),
            GOOD.trim_end_matches('1').to_owned(),
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
