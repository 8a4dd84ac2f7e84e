//! gzip for who asks for it.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, header};

use super::super::session::Dialect;
use super::super::web::{Content, Reply, Visit};

/// Compresses an answer as Airflow 3 does: text from 1 kB on, then chunked, the same `ETag`.
/// Airflow 2 compresses nothing, so there only the static files are, for the sake of tests.
pub(super) fn compress(visit: Visit<'_>, reply: Reply) -> Reply {
    let here = visit.dialect() != Dialect::Two || visit.path().starts_with("/static/");
    let kind = reply.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let text = kind.starts_with("text/") || kind.contains("json") || kind.contains("svg");
    let Content::Whole(bytes) = &reply.body else {
        return reply;
    };
    if !here || !text || bytes.len() < SMALLEST {
        return reply;
    }
    let vary = HeaderValue::from_static("Accept-Encoding");
    if !accepts_gzip(visit) {
        return reply.with(header::VARY, vary);
    }
    let Ok(compressed) = gzip(bytes) else {
        return reply;
    };
    let body = Content::pieces(compressed, async |left: Bytes| {
        let mut rest = left;
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((piece, rest))
    });
    reply
        .with_body(body)
        .with(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))
        .with(header::VARY, vary)
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

fn gzip(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(Bytes::from(encoder.finish()?))
}

/// Below this nothing is gained; uvicorn's middleware is set to the same in Airflow.
const SMALLEST: usize = 1000;
const PIECE: usize = 16 * 1024;
