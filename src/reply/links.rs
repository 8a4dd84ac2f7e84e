//! Absolute links in pages: Airflow writes its base URL into some of them, which would lead
//! the browser past the gateway. Only HTML that is not compressed is touched, as it streams by.

use crate::names::debug_only;
use crate::upstream::ReplyBody;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http_body::{Body, Frame};
use memchr::memmem::Finder;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Whether the reply is a page whose links can be looked at.
pub(super) fn may_have_links(headers: &HeaderMap) -> bool {
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let html = media.is_some_and(|media| {
        let media = media.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("text/html")
    });
    let plain = headers
        .get(CONTENT_ENCODING)
        .is_none_or(|coding| coding == "identity");
    html && plain
}

/// Removes what is true of the page only as the web server sent it.
pub(super) fn prepare(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ETAG, ACCEPT_RANGES] {
        headers.remove(name);
    }
}

/// A page on its way whose links to the web server's origin become links to ours.
pub struct Relinked {
    body: ReplyBody,
    swap: Swap,
}

debug_only!(Relinked: body);

impl Relinked {
    /// `https://HOST` becomes `origin`.
    pub(super) fn new(body: ReplyBody, host: &str, origin: &str) -> Self {
        Self {
            body,
            swap: Swap::new(&format!("https://{host}"), origin),
        }
    }
}

impl Body for Relinked {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            let swapped = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.swap.push(&data),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let rest = this.swap.finish();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
            };
            if !swapped.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(swapped))));
            }
        }
    }
}

/// Replaces one text by another in a stream of pieces.
struct Swap {
    finder: Finder<'static>,
    by: Bytes,
    /// What may be the beginning of the text, or the text before it is known what follows.
    held: BytesMut,
}

impl Swap {
    fn new(text: &str, by: &str) -> Self {
        Self {
            finder: Finder::new(text.as_bytes()).into_owned(),
            by: Bytes::copy_from_slice(by.as_bytes()),
            held: BytesMut::new(),
        }
    }

    fn push(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        let mut out = BytesMut::with_capacity(self.held.len());
        while let Some(at) = self.finder.find(&self.held) {
            let end = at + self.finder.needle().len();
            let Some(&after) = self.held.get(end) else {
                // what follows decides
                out.extend_from_slice(&self.held.split_to(at));
                return out.freeze();
            };
            self.take(at, end, after, &mut out);
        }
        // a whole needle less its last byte may be its beginning
        let keep = self.beginning();
        let done = self.held.len() - keep;
        out.extend_from_slice(&self.held.split_to(done));
        out.freeze()
    }

    fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(at) = self.finder.find(&self.held) {
            let end = at + self.finder.needle().len();
            self.take(at, end, b'/', &mut out);
        }
        out.extend_from_slice(&self.held.split());
        out.freeze()
    }

    /// Moves everything before `end` out; the text itself only if the name ends there.
    fn take(&mut self, at: usize, end: usize, after: u8, out: &mut BytesMut) {
        let goes_on =
            after.is_ascii_alphanumeric() || matches!(after, b'.' | b'-' | b'_' | b'@');
        if goes_on {
            out.extend_from_slice(&self.held.split_to(end));
        } else {
            out.extend_from_slice(&self.held.split_to(at));
            drop(self.held.split_to(end - at));
            out.extend_from_slice(&self.by);
        }
    }

    /// How many of the last bytes could be the beginning of the text.
    fn beginning(&self) -> usize {
        let needle = self.finder.needle();
        let most = needle.len().saturating_sub(1).min(self.held.len());
        (1..=most)
            .rev()
            .find(|&length| {
                let tail = self.held.get(self.held.len() - length..);
                tail == needle.get(..length)
            })
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: &str = "https://x.c1.on.aws";

    fn swap(pieces: &[&[u8]]) -> Vec<u8> {
        let mut swap = Swap::new(HOST, "http://localhost:8080");
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&swap.push(piece));
        }
        out.extend_from_slice(&swap.finish());
        out
    }

    #[test]
    fn only_the_whole_origin_is_replaced() {
        for (from, to) in [
            (
                "<base href=\"https://x.c1.on.aws/\">",
                "<base href=\"http://localhost:8080/\">",
            ),
            ("https://x.c1.on.aws", "http://localhost:8080"),
            ("https://x.c1.on.aws:443/", "http://localhost:8080:443/"),
            (
                "https://x.c1.on.aws.evil.example/",
                "https://x.c1.on.aws.evil.example/",
            ),
            (
                "https://https://x.c1.on.aws?",
                "https://http://localhost:8080?",
            ),
        ] {
            assert_eq!(swap(&[from.as_bytes()]), to.as_bytes(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            parts in proptest::collection::vec("https://x\\.c1\\.on\\.aws|https://|x|/|[.]c1|\"", 0..12),
            cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let text = parts.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(swap(&pieces), swap(&[bytes]));
        }
    }
}
