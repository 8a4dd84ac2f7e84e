//! What a read-only client does not get to see within a reply that it may see: the values that a
//! task's templates had when it ran (`rendered_fields`), which Airflow 2 and 3 put into their
//! replies about task instances. Everything else stays byte for byte.

use crate::upstream::ReplyBody;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use memchr::memmem;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Whether the reply is a JSON document, in which such values may stand.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media = media.and_then(|value| value.split(|&b| b == b';').next());
    let media = media.unwrap_or_default().trim_ascii().to_ascii_lowercase();
    media == b"application/json" || media.ends_with(b"+json")
}

/// A JSON document on its way, read whole before the first byte goes on.
#[derive(Debug)]
pub struct Screened {
    body: ReplyBody,
    /// `None` when the document has gone on.
    read: Option<BytesMut>,
    compressed: bool,
}

impl Screened {
    pub(super) fn new(body: ReplyBody, headers: &HeaderMap) -> Self {
        let coding = headers.get(CONTENT_ENCODING);
        Self {
            body,
            read: Some(BytesMut::new()),
            compressed: coding.is_some_and(|coding| coding != "identity"),
        }
    }
}

impl Body for Screened {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(read) = &mut this.read else {
            return Poll::Ready(None);
        };
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                break;
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if this.compressed {
                // it was asked for as it is
                return Poll::Ready(Some(Err(broken("the web server sent compressed data"))));
            }
            if read.len() + data.len() > LARGEST {
                return Poll::Ready(Some(Err(broken(
                    "the web server's document is too large",
                ))));
            }
            read.extend_from_slice(&data);
        }
        let whole = this.read.take().unwrap_or_default().freeze();
        let screened = if memmem::find(&whole, KEY.as_bytes()).is_some() {
            screen(&whole).ok_or_else(|| broken("the web server's document is no JSON"))
        } else {
            Ok(whole)
        };
        Poll::Ready(match screened {
            Ok(bytes) if bytes.is_empty() => None,
            other => Some(other.map(Frame::data)),
        })
    }
}

fn broken(why: &'static str) -> Box<dyn std::error::Error + Send + Sync> {
    io::Error::new(io::ErrorKind::InvalidData, why).into()
}

/// The document with `{}` for each value of the key; `None` if it can't be read.
fn screen(document: &[u8]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(document.len());
    let mut rest = document;
    while let Some(at) = memchr::memchr(b'"', rest) {
        let string = rest.get(at..)?;
        let (text, after) = string.split_at(string_end(string)?);
        let gap = after.len() - after.trim_ascii_start().len();
        let is_key = after.get(gap) == Some(&b':');
        if !(is_key && names_it(text)) {
            out.extend_from_slice(rest.get(..at + text.len())?);
            rest = after;
            continue;
        }
        let value = after.get(gap + 1..)?.trim_ascii_start();
        out.extend_from_slice(rest.get(..at + text.len())?);
        out.extend_from_slice(b":{}");
        rest = value.get(value_end(value)?..)?;
    }
    out.extend_from_slice(rest);
    Some(out.freeze())
}

/// Whether a string, in its quotes, is the key; escapes do not hide it.
fn names_it(string: &[u8]) -> bool {
    if memchr::memchr(b'\\', string).is_none() {
        return string.get(1..string.len() - 1) == Some(KEY.as_bytes());
    }
    serde_json::from_slice::<String>(string).is_ok_and(|key| key == KEY)
}

/// The length of the string at the beginning, quotes included.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            _escape => at += 2,
        }
    }
}

/// The length of the value at the beginning.
fn value_end(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match text.get(at)? {
            b'"' => at += string_end(text.get(at..)?)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                // it closes what holds the value, or the value itself
                let Some(outer) = depth.checked_sub(1) else {
                    return Some(at);
                };
                depth = outer;
                at += 1;
            }
            b',' if depth == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Airflow's name for them.
const KEY: &str = "rendered_fields";
/// Lists of task instances have a hundred at most; no document is nearly as long.
const LARGEST: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn screened(text: &str) -> String {
        String::from_utf8(screen(text.as_bytes()).expect(text).to_vec()).unwrap()
    }

    #[test]
    fn nothing_else_is_touched() {
        for (from, to) in [
            (
                r#"{"a": 1.50, "rendered_fields" : {"x": "}\"]"}, "b": NaN}"#,
                r#"{"a": 1.50, "rendered_fields":{}, "b": NaN}"#,
            ),
            (
                r#"[{"rendered_fields":null}]"#,
                r#"[{"rendered_fields":{}}]"#,
            ),
            (r#"{"rendered_fields":"x"}"#, r#"{"rendered_fields":{}}"#),
            (
                r#"{"rendered_fields":[1,[2]],"c":3}"#,
                r#"{"rendered_fields":{},"c":3}"#,
            ),
            (r#"{"rendered_fields":7 }"#, r#"{"rendered_fields":{}}"#),
            (
                r#"{"r\u0065ndered_fields":"hunter2"}"#,
                r#"{"r\u0065ndered_fields":{}}"#,
            ),
            (r#"["rendered_fields", 1]"#, r#"["rendered_fields", 1]"#),
            (
                r#"{"log": "\"rendered_fields\": 1", "x": 2}"#,
                r#"{"log": "\"rendered_fields\": 1", "x": 2}"#,
            ),
        ] {
            assert_eq!(screened(from), to);
        }
        for cut in [
            r#"{"rendered_fields":{"a""#,
            r#"{"rendered_fie"#,
            r#"{"rendered_fields":"#,
        ] {
            assert_eq!(screen(cut.as_bytes()), None, "{cut}");
        }
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],: é\n]{0,6}".prop_map(Value::from),
            Just(Value::from(KEY)),
        ];
        let key = prop_oneof![Just(KEY.to_owned()), "[a\"\\\\:{}]{0,3}"];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The same by a reader of JSON.
    fn without(value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(without).collect(),
            Value::Object(members) => {
                let empty = |key: &str| key == KEY;
                let member = |(key, value): (String, Value)| {
                    let value = if empty(&key) {
                        json!({})
                    } else {
                        without(value)
                    };
                    (key, value)
                };
                Value::Object(members.into_iter().map(member).collect::<Map<_, _>>())
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain
            }
        }
    }

    proptest! {
        #[test]
        fn as_a_reader_of_json_would(document in documents(), pretty: bool) {
            let text = if pretty { format!("{document:#}") } else { document.to_string() };
            let read: Value = serde_json::from_str(&screened(&text)).unwrap();
            prop_assert_eq!(read, without(document));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut text = br#"{"rendered_fields":"#.to_vec();
            text.extend(bytes);
            drop(screen(&text));
        }
    }
}
