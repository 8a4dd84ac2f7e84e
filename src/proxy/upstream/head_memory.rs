//! The heads of responses that a thread has read lately. The responses to a program that polls usually
//! differ in their `Date` only, so those of one second often have the same head, which is not read
//! again.
//!
//! Only heads whose fields are not for secrets are kept: none that set a cookie or redirect.

use http::Method;
use mwaa_http1::name::{
    ACCEPT_RANGES, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, DATE, KEEP_ALIVE, SERVER, STRICT_TRANSPORT_SECURITY,
    TRANSFER_ENCODING, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_ROBOTS_TAG,
};
use mwaa_http1::{HeadMemory, NameSet, ResponseHead};
use std::cell::RefCell;

/// A head, and true if it is the response to a HEAD, which has another framing.
type KnownHead = (bool, Box<ResponseHead>);

thread_local! {
    static MEMORY: RefCell<HeadMemory<KnownHead>> = const { RefCell::new(HeadMemory::new()) };
}

/// Returns the head at the beginning of `input` and its size in bytes, if it is known.
pub(super) fn find(input: &[u8], method: &Method) -> Option<(Box<ResponseHead>, usize)> {
    let is_head = *method == Method::HEAD;
    MEMORY.with_borrow(|memory| {
        let ((_, head), size) = memory.find(input, |known| known.0 == is_head)?;
        Some((head.clone(), size))
    })
}

/// Keeps a head that was read from these bytes, in place of the oldest one.
pub(super) fn keep(bytes: &[u8], method: &Method, head: &ResponseHead) {
    if head.headers.has_only(HARMLESS) {
        let known = || (*method == Method::HEAD, Box::new(head.clone()));
        MEMORY.with_borrow_mut(|memory| memory.keep(bytes, known));
    }
}

const HARMLESS: NameSet = NameSet::new(&[
    ACCEPT_RANGES,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DATE,
    KEEP_ALIVE,
    SERVER,
    STRICT_TRANSPORT_SECURITY,
    TRANSFER_ENCODING,
    VARY,
    X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
    X_ROBOTS_TAG,
]);

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_http1::{Framing, Parsed, parse_response};

    /// Reads a head and keeps it, if it may be kept.
    fn read(text: &str, method: &Method) {
        let Ok(Parsed::Complete(head, size)) = parse_response(text.as_bytes(), 0, method)
        else {
            panic!("{text:?} is no head");
        };
        keep(&text.as_bytes()[..size], method, &head);
    }

    #[test]
    fn the_same_bytes_are_the_same_head() {
        let text = "HTTP/1.1 404 Not Found\r\nDate: a\r\nContent-Length: 3\r\n\r\n";
        assert!(find(text.as_bytes(), &Method::GET).is_none());
        read(text, &Method::GET);
        let input = format!("{text}abc");
        let (head, size) = find(input.as_bytes(), &Method::POST).unwrap();
        assert_eq!((head.status.as_u16(), size), (404, text.len()));
        assert_eq!(head.framing, Framing::Length(3));
        assert!(head.keep_alive);
        assert_eq!(head.headers.get(DATE), Some(&b"a"[..]));

        // the response to a HEAD has the same fields, and no body
        assert!(find(text.as_bytes(), &Method::HEAD).is_none());
        read(text, &Method::HEAD);
        let (head, _) = find(text.as_bytes(), &Method::HEAD).unwrap();
        assert_eq!(head.framing, Framing::Length(0));
        let later = text.replace("Date: a", "Date: b");
        assert!(find(later.as_bytes(), &Method::GET).is_none());
    }

    #[test]
    fn a_head_that_may_hold_a_secret_is_not_kept() {
        for (field, is_kept) in [
            ("Server: b", true),
            ("Set-Cookie: b", false),
            ("Location: /?token=b", false),
            ("X-Other: b", false),
            ("ETag: b", false),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
            read(&text, &Method::GET);
            let found = find(text.as_bytes(), &Method::GET);
            assert_eq!(found.is_some(), is_kept, "{text}");
        }
    }
}
