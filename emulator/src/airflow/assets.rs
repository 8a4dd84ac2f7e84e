//! `/static/…`: style sheet, script, mark, and any number of zeros.

use bytes::Bytes;
use http::{HeaderValue, header};

use super::super::session::Dialect;
use super::super::web::{Content, Reply, Visit};

/// Answers a path below `/static/`, which needs no session.
pub(super) fn answer(visit: Visit<'_>) -> Option<Reply> {
    let name = visit.path().strip_prefix("/static/")?;
    if visit.method() != "GET" {
        return Some(Reply::page(405, "method not allowed"));
    }
    if name == "emulator/zeros" {
        return Some(zeros(visit));
    }
    let file = FILES
        .iter()
        .find(|file| name.strip_prefix("emulator/") == Some(file.name));
    Some(match file {
        Some(file) => serve(visit, file),
        None if visit.dialect() == Dialect::Two => Reply::page(404, "not found"),
        None => Reply::json(r#"{"detail":"Not Found"}"#).with_status(404),
    })
}

/// A file with its validators (RFC 9110 section 8.8), or 304 for who has it already.
fn serve(visit: Visit<'_>, file: &File) -> Reply {
    let tag = format!(
        "\"{:x}-{:016x}\"",
        file.text.len(),
        hash(file.text.as_bytes())
    );
    let modified = visit.environment.created_at();
    let date = httpdate::fmt_http_date(modified);
    let unchanged = match visit.header(header::IF_NONE_MATCH) {
        Some(tags) => tags
            .split(',')
            .any(|known| known.trim() == "*" || known.trim().trim_start_matches("W/") == tag),
        None => visit.header(header::IF_MODIFIED_SINCE) == Some(&date),
    };
    let reply = if unchanged {
        Reply::bare(304, "")
    } else {
        Reply::of(200, file.content_type, file.text)
    };
    let mut reply = reply;
    if let (Ok(tag), Ok(date)) = (HeaderValue::from_str(&tag), HeaderValue::from_str(&date)) {
        reply = reply
            .with(header::ETAG, tag)
            .with(header::LAST_MODIFIED, date);
    }
    if visit.dialect() == Dialect::Two {
        let for_half_a_day = HeaderValue::from_static("public, max-age=43200");
        reply = reply.with(header::CACHE_CONTROL, for_half_a_day);
    }
    reply
}

/// `?bytes=N`: so many zeros, made while they are sent; `&chunked=true` does not say how many.
fn zeros(visit: Visit<'_>) -> Reply {
    let asked = visit
        .query("bytes")
        .and_then(|text| text.parse::<u64>().ok());
    let Some(count) = asked.filter(|count| *count <= MOST_ZEROS) else {
        return Reply::page(400, "say how many: ?bytes=N, at most 4294967296");
    };
    let body = Content::pieces(count, async |left: u64| {
        let piece = left.min(PIECE.len() as u64);
        let bytes = Bytes::from_static(PIECE.get(..usize::try_from(piece).ok()?)?);
        (left > 0).then(|| (bytes, left - piece))
    });
    let reply = Reply::of(200, "application/octet-stream", "").with_body(body);
    if visit.query("chunked").as_deref() == Some("true") {
        return reply;
    }
    reply.with(header::CONTENT_LENGTH, HeaderValue::from(count))
}

/// FNV-1a, which changes when a file does.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const FILES: [File; 3] = [
    File {
        name: "style.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("static/style.css"),
    },
    File {
        name: "page.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("static/page.js"),
    },
    File {
        name: "favicon.svg",
        content_type: "image/svg+xml",
        text: MARK,
    },
];

/// The emulator's mark, also for the head of the page.
pub(super) const MARK: &str = include_str!("static/favicon.svg");

static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
const MOST_ZEROS: u64 = 4 << 30;
