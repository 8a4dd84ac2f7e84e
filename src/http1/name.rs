//! The names of fields that the gateway asks for. A head finds them once, when it is parsed; after
//! that a name is one byte.

use std::fmt;

/// The name of a field, one of the constants of this module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name(u8);

/// A set of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameSet(u128);

/// Defines the constants, and the texts behind them.
macro_rules! names {
    ($($constant:ident $text:literal)*) => {
        #[expect(
            non_camel_case_types,
            clippy::upper_case_acronyms,
            reason = "they number the constants of the same names"
        )]
        enum Number { $($constant),* }

        $(
            #[doc = concat!("`", $text, "`")]
            pub const $constant: Name = Name(Number::$constant as u8);
        )*

        /// The texts in the order of their numbers, in lower case.
        const TEXTS: &[&str] = &[$($text),*];
    };
}

names! {
    ACCEPT "accept"
    ACCEPT_ENCODING "accept-encoding"
    ACCEPT_LANGUAGE "accept-language"
    ACCEPT_RANGES "accept-ranges"
    ACCESS_CONTROL_REQUEST_METHOD "access-control-request-method"
    ALLOW "allow"
    ALT_SVC "alt-svc"
    AUTHORIZATION "authorization"
    CACHE_CONTROL "cache-control"
    CLEAR_SITE_DATA "clear-site-data"
    CONNECTION "connection"
    CONTENT_ENCODING "content-encoding"
    CONTENT_LANGUAGE "content-language"
    CONTENT_LENGTH "content-length"
    CONTENT_LOCATION "content-location"
    CONTENT_SECURITY_POLICY "content-security-policy"
    CONTENT_TYPE "content-type"
    COOKIE "cookie"
    CROSS_ORIGIN_EMBEDDER_POLICY "cross-origin-embedder-policy"
    CROSS_ORIGIN_OPENER_POLICY "cross-origin-opener-policy"
    CROSS_ORIGIN_RESOURCE_POLICY "cross-origin-resource-policy"
    DATE "date"
    ETAG "etag"
    EXPECT "expect"
    HOST "host"
    IF_MATCH "if-match"
    IF_MODIFIED_SINCE "if-modified-since"
    IF_NONE_MATCH "if-none-match"
    IF_RANGE "if-range"
    IF_UNMODIFIED_SINCE "if-unmodified-since"
    KEEP_ALIVE "keep-alive"
    LOCATION "location"
    MWAA_GATEWAY_FAULT "mwaa-gateway-fault"
    MWAA_GATEWAY_INVOKE "mwaa-gateway-invoke"
    MWAA_GATEWAY_REPEATABLE "mwaa-gateway-repeatable"
    MWAA_GATEWAY_REPEATED "mwaa-gateway-repeated"
    MWAA_GATEWAY_REQUEST_ID "mwaa-gateway-request-id"
    MWAA_GATEWAY_SECRET "mwaa-gateway-secret"
    MWAA_GATEWAY_SUCCEEDED "mwaa-gateway-succeeded"
    NEL "nel"
    ORIGIN "origin"
    PRAGMA "pragma"
    PREFER "prefer"
    PROXY_AUTHENTICATE "proxy-authenticate"
    PROXY_CONNECTION "proxy-connection"
    PUBLIC_KEY_PINS "public-key-pins"
    PURPOSE "purpose"
    RANGE "range"
    REFERER "referer"
    REFERRER_POLICY "referrer-policy"
    REPORT_TO "report-to"
    RETRY_AFTER "retry-after"
    SEC_FETCH_DEST "sec-fetch-dest"
    SEC_FETCH_MODE "sec-fetch-mode"
    SEC_FETCH_SITE "sec-fetch-site"
    SEC_FETCH_STORAGE_ACCESS "sec-fetch-storage-access"
    SEC_FETCH_USER "sec-fetch-user"
    SEC_PURPOSE "sec-purpose"
    SERVER "server"
    SERVICE_WORKER "service-worker"
    SET_COOKIE "set-cookie"
    STRICT_TRANSPORT_SECURITY "strict-transport-security"
    TE "te"
    TRACEPARENT "traceparent"
    TRACESTATE "tracestate"
    TRAILER "trailer"
    TRANSFER_ENCODING "transfer-encoding"
    UPGRADE "upgrade"
    USER_AGENT "user-agent"
    VARY "vary"
    WWW_AUTHENTICATE "www-authenticate"
    X_AMZN_ERRORTYPE "x-amzn-errortype"
    X_AMZN_REQUESTID "x-amzn-requestid"
    X_CONTENT_TYPE_OPTIONS "x-content-type-options"
    X_CSRFTOKEN "x-csrftoken"
    X_FRAME_OPTIONS "x-frame-options"
    X_MOZ "x-moz"
    X_PURPOSE "x-purpose"
    X_REQUESTED_WITH "x-requested-with"
    X_ROBOTS_TAG "x-robots-tag"
}

impl Name {
    /// Returns the name, in lower case.
    pub fn as_str(self) -> &'static str {
        TEXTS.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// Returns the name that these bytes are, in any case; `None` for a name that the gateway never
    /// asks for. The bytes are a token (RFC 9110 section 5.6.2).
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let mut slot = slot_of(bytes)?;
        loop {
            let number = *TABLE.get(slot)?;
            // an empty slot ends the search
            let text = TEXTS.get(usize::from(number))?;
            if is_same(text.as_bytes(), bytes) {
                return Some(Self(number));
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    const fn bit(self) -> u128 {
        // there are no larger numbers: without the mask each shift is checked
        1 << (self.0 & 127)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl NameSet {
    /// The names of all constants.
    pub const ALL: Self = Self(u128::MAX >> (u128::BITS as usize - TEXTS.len()));

    /// Returns the set of these names.
    pub const fn new(names: &[Name]) -> Self {
        let mut set = 0;
        let mut rest = names;
        while let [first, others @ ..] = rest {
            set |= first.bit();
            rest = others;
        }
        Self(set)
    }

    /// Returns true if the name is in the set.
    pub const fn contains(self, name: Name) -> bool {
        self.0 & name.bit() != 0
    }

    /// Returns the names that are in one of the sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the names that are not in the other set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns true if the sets have a name in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the names in alphabetical order.
    pub fn iter(self) -> impl Iterator<Item = Name> {
        let all = (0..TEXTS.len()).filter_map(|number| u8::try_from(number).ok());
        all.map(Name).filter(move |name| self.contains(*name))
    }

    /// Adds a name.
    pub(crate) const fn insert(&mut self, name: Name) {
        self.0 |= name.bit();
    }

    /// Takes a name out.
    pub(crate) const fn remove(&mut self, name: Name) {
        self.0 &= !name.bit();
    }
}

/// Returns true if a token is a name of ours, in any case.
fn is_same(own: &[u8], token: &[u8]) -> bool {
    if own.len() != token.len() {
        return false;
    }

    // No byte of a token becomes a digit or `-` by this bit, and only the other case of a letter
    // becomes that letter.
    let differ = |own: &[u8; 8], token: &[u8; 8]| {
        u64::from_ne_bytes(*own) ^ (u64::from_ne_bytes(*token) | CASES)
    };
    let ends = |name: &[u8]| Some((*name.first_chunk()?, *name.last_chunk()?));
    let (Some((own_first, own_last)), Some((first, last))) = (ends(own), ends(token)) else {
        let bytes = own.iter().zip(token);
        return bytes.fold(0, |sum, (own, byte)| sum | (own ^ (byte | CASE))) == 0;
    };
    // eight bytes at a time, which overlap
    if differ(&own_first, &first) | differ(&own_last, &last) != 0 {
        return false;
    }
    let mut between = own.as_chunks().0.iter().zip(token.as_chunks().0).skip(1);
    own.len() <= 16 || between.all(|(own, token)| differ(own, token) == 0)
}

/// Returns the first slot to look for a name; `None` for an empty one.
const fn slot_of(name: &[u8]) -> Option<usize> {
    let [first, ..] = name else { return None };
    let [.., last] = name else { return None };
    let (first, last) = (*first | CASE, *last | CASE);
    let sum = name.len().wrapping_mul(7) + first as usize * 31 + last as usize * 3;
    Some(sum % SLOTS)
}

/// The number of the name in each slot, which is at its first slot or behind it.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it, and would fail"
)]
const TABLE: [u8; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
    let mut number = 0;
    while number < TEXTS.len() {
        let Some(mut slot) = slot_of(TEXTS[number].as_bytes()) else {
            panic!("a name is empty");
        };
        while table[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = number as u8;
        number += 1;
    }
    table
};

/// More than there are names, so that every search ends.
const SLOTS: usize = 512;
/// A number that no name has.
const EMPTY: u8 = u8::MAX;
/// The bit that a lower case letter has beside its upper case.
const CASE: u8 = 0x20;
/// The same for eight letters.
const CASES: u64 = u64::from_ne_bytes([CASE; 8]);
// a set has one bit for each name
const _: () = assert!(TEXTS.len() <= u128::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        for (number, text) in TEXTS.iter().enumerate() {
            let upper = text.to_ascii_uppercase();
            for spelling in [text, upper.as_str()] {
                let found = Name::find(spelling.as_bytes()).unwrap();
                assert_eq!(usize::from(found.0), number, "{spelling}");
            }
            assert_eq!(Name::find(format!("{text}x").as_bytes()), None);
            assert_eq!(
                Name::find(text.replace('e', "~").as_bytes()).map(Name::as_str),
                text.find('e').is_none().then_some(*text)
            );
        }
        assert_eq!(Name::find(b""), None);
        assert_eq!(Name::find(b"x-other"), None);
    }

    #[test]
    fn the_texts_are_sorted_and_have_no_byte_that_the_comparison_would_mistake() {
        assert!(TEXTS.is_sorted_by(|one, next| one < next));
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        assert!(TEXTS.iter().all(|text| text.bytes().all(is_plain)));
    }

    #[test]
    fn a_set_has_its_names_only() {
        const SET: NameSet = NameSet::new(&[HOST, X_REQUESTED_WITH]);
        assert!(SET.contains(HOST) && SET.contains(X_REQUESTED_WITH));
        assert!(!SET.contains(ACCEPT));
        assert!(SET.intersects(NameSet::new(&[ACCEPT, HOST])));
        assert!(!SET.intersects(NameSet::new(&[ACCEPT])));
        assert!(SET.iter().eq([HOST, X_REQUESTED_WITH]));
    }
}
