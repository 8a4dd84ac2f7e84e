//! The heads that a thread has read lately. A program that polls sends the same bytes each time, and
//! they need not be read again: the same bytes are the same head.
//!
//! Only short heads with harmless fields and parameters are kept. A path can still name something
//! private, so what is kept is shown nowhere, and other heads soon take its place.

use mwaa_http1::name::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH,
    CONTENT_TYPE, HOST, KEEP_ALIVE, MWAA_GATEWAY_REPEATABLE, PRAGMA, USER_AGENT,
};
use mwaa_http1::{HeadMemory, NameSet, RequestHead, RequestLimits};
use std::cell::RefCell;
use std::rc::Rc;

/// A head, and the limits within which it was read.
type KnownHead = (RequestLimits, Rc<RequestHead>);

thread_local! {
    static MEMORY: RefCell<HeadMemory<KnownHead>> = const { RefCell::new(HeadMemory::new()) };
}

/// Returns the head at the beginning of `input` and its size in bytes, if it is known.
pub(super) fn find(input: &[u8], limits: RequestLimits) -> Option<(Rc<RequestHead>, usize)> {
    MEMORY.with_borrow(|memory| {
        let ((_, head), size) = memory.find(input, |known| known.0 == limits)?;
        Some((Rc::clone(head), size))
    })
}

/// Keeps a head that was read from these bytes, in place of the oldest one.
pub(super) fn keep(bytes: &[u8], limits: RequestLimits, head: &Rc<RequestHead>) {
    if is_harmless(head) {
        MEMORY.with_borrow_mut(|memory| memory.keep(bytes, || (limits, Rc::clone(head))));
    }
}

/// Returns true if a head cannot hold a secret.
fn is_harmless(head: &RequestHead) -> bool {
    let headers = &head.headers;
    headers.has_only(HARMLESS)
        && head.target.query().is_none_or(is_harmless_query)
        && head.target.authority().is_none()
}

fn is_harmless_query(query: &str) -> bool {
    let mut names = query
        .split('&')
        .map(|parameter| parameter.split('=').next());
    names.all(|name| name.is_some_and(|name| HARMLESS_PARAMETERS.contains(&name)))
}

const HARMLESS: NameSet = NameSet::new(&[
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    KEEP_ALIVE,
    MWAA_GATEWAY_REPEATABLE,
    PRAGMA,
    USER_AGENT,
]);
/// The parameters with which programs poll Airflow's lists. Those of other programs may be secret.
const HARMLESS_PARAMETERS: &[&str] = &[
    "dag_ids",
    "fields",
    "limit",
    "offset",
    "only_active",
    "order_by",
    "paused",
    "state",
    "tags",
];

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_http1::{Parsed, parse_request};

    const LIMITS: RequestLimits = RequestLimits {
        size: 2048,
        fields: 32,
    };

    /// Reads a head and keeps it, if it may be kept.
    fn read(text: &str) -> Rc<RequestHead> {
        let Ok(Parsed::Complete(head, size)) = parse_request(text.as_bytes(), 0, LIMITS) else {
            panic!("{text:?} is no head");
        };
        keep(&text.as_bytes()[..size], LIMITS, &head);
        head
    }

    #[test]
    fn the_same_bytes_are_the_same_head() {
        let text = "GET /a?limit=1&order_by=-id HTTP/1.1\r\nHost: b\r\n\r\n";
        assert!(find(text.as_bytes(), LIMITS).is_none());
        let head = read(text);
        let input = format!("{text}GET ");
        let (found, size) = find(input.as_bytes(), LIMITS).unwrap();
        assert!(Rc::ptr_eq(&found, &head));
        assert_eq!(size, text.len());

        let part = text.trim_end_matches('\n');
        for other in [part, "GET /a?limit=1 HTTP/1.1\r\nHost: b\r\n\r\n", ""] {
            assert!(find(other.as_bytes(), LIMITS).is_none(), "{other}");
        }
        let smaller = RequestLimits { size: 10, ..LIMITS };
        assert!(find(text.as_bytes(), smaller).is_none());
    }

    #[test]
    fn a_head_that_may_hold_a_secret_is_not_kept() {
        for (target, field) in [
            ("/a", "Authorization: b"),
            ("/a", "Cookie: b"),
            ("/a", "Mwaa-Gateway-Secret: b"),
            ("/a", "Referer: b"),
            ("/a", "X-Other: b"),
            ("/a?b", "Accept: b"),
            ("/a?limit=1&token=b", "Accept: b"),
            ("/a?limit=1&", "Accept: b"),
            ("http://a:b@c/", "Accept: b"),
            (&"/a".repeat(512), "Accept: b"),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: c\r\n{field}\r\n\r\n");
            read(&text);
            assert!(find(text.as_bytes(), LIMITS).is_none(), "{text}");
        }
    }
}
