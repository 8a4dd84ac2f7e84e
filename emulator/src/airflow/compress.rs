//! gzip for clients that accept it.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use hyper::body::Frame;

use super::super::session::Dialect;
use super::super::web::{Body, Content, Reply, Visit};

/// Compresses an answer as Airflow 3 does: text from 1 kB on, then chunked, the same `ETag`.
/// Airflow 2 compresses nothing, so there only the static files are, for the sake of tests.
pub(super) fn compress(visit: Visit<'_>, reply: Reply) -> Reply {
    let here = visit.dialect() != Dialect::Two || visit.path().starts_with("/static/");
    let kind = reply.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = kind.starts_with("text/") || kind.contains("json") || kind.contains("svg");
    let worth_it = match &reply.body {
        Content::Whole(bytes) => text && bytes.len() >= SMALLEST,
        // the answer to a wait has no type at all
        Content::Stream(_) => text || kind.is_empty(),
    };
    if !here || !worth_it {
        return reply;
    }
    let reply = reply.with(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !accepts_gzip(visit) {
        return reply;
    }
    let mut reply = reply.with(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let plain = std::mem::replace(&mut reply.body, Content::Whole(Bytes::new()));
    let gzip = Gzip {
        plain: plain.into_body(),
        encoder: Some(GzEncoder::new(Vec::new(), Compression::default())),
    };
    reply.with_body(Content::Stream(gzip.boxed_unsync()))
}

/// A body that is compressed piece by piece: what has gone in comes out at once.
#[derive(Debug)]
struct Gzip {
    plain: Body,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl hyper::body::Body for Gzip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.plain).poll_frame(context));
        let Some(encoder) = &mut self.encoder else {
            return Poll::Ready(None);
        };
        let compressed = match frame.transpose() {
            Err(error) => Err(error),
            Ok(Some(frame)) => {
                let piece = frame.into_data().unwrap_or_default();
                encoder
                    .write_all(&piece)
                    .and_then(|()| encoder.flush())
                    .map(|()| std::mem::take(encoder.get_mut()))
            }
            Ok(None) => self
                .encoder
                .take()
                .map_or(Ok(Vec::new()), GzEncoder::finish),
        };
        Poll::Ready(Some(compressed.map(|bytes| Frame::data(bytes.into()))))
    }
}

/// Whether `Accept-Encoding` (RFC 9110 section 12.5.3) takes gzip with a weight above zero.
fn accepts_gzip(visit: Visit<'_>) -> bool {
    let value = visit.header(header::ACCEPT_ENCODING).unwrap_or_default();
    value.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=");
        let refused = weight.and_then(|weight| weight.parse().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Below this nothing is gained; uvicorn's middleware is set to the same in Airflow.
const SMALLEST: usize = 1000;
