//! What a read-only client does not get to see within a reply that it may see: members of JSON
//! objects that may hold secrets, such as the values that a task's templates had when it ran. They
//! come back empty; everything else stays byte for byte.

use crate::names::debug_only;
use crate::upstream::ReplyBody;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
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
pub struct Screened {
    body: ReplyBody,
    /// `None` when the document has gone on.
    read: Option<BytesMut>,
    compressed: bool,
    /// The names of the members.
    hidden: &'static [&'static str],
}

debug_only!(Screened: body, compressed, hidden);

impl Screened {
    pub(super) fn new(
        body: ReplyBody,
        headers: &HeaderMap,
        hidden: &'static [&'static str],
    ) -> Self {
        let coding = headers.get(CONTENT_ENCODING);
        Self {
            body,
            read: Some(BytesMut::new()),
            compressed: coding.is_some_and(|coding| coding != "identity"),
            hidden,
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
        let document = screen(&whole, this.hidden);
        let screened = document.ok_or_else(|| broken("the web server's document is no JSON"));
        Poll::Ready(match screened {
            Ok(bytes) if bytes.is_empty() => None,
            other => Some(other.map(Frame::data)),
        })
    }
}

fn broken(why: &'static str) -> Box<dyn std::error::Error + Send + Sync> {
    io::Error::new(io::ErrorKind::InvalidData, why).into()
}

/// The document with an empty value for each member of these names: `{}` for an object, `""` for
/// text, and so on. `None` if it can't be read.
fn screen(document: &[u8], hidden: &[&str]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(document.len());
    let mut rest = document;
    while let Some(at) = memchr::memchr(b'"', rest) {
        let string = rest.get(at..)?;
        let (text, after) = string.split_at(string_end(string)?);
        let gap = after.len() - after.trim_ascii_start().len();
        let is_key = after.get(gap) == Some(&b':');
        out.extend_from_slice(rest.get(..at + text.len())?);
        rest = after;
        if !(is_key && is_one_of(text, hidden)) {
            continue;
        }
        let value = after.get(gap + 1..)?.trim_ascii_start();
        rest = value.get(value_end(value)?..)?;
        out.extend_from_slice(match value.first()? {
            b'{' => b":{}",
            b'[' => b":[]",
            b'"' => b":\"\"",
            _ => b":null",
        });
    }
    out.extend_from_slice(rest);
    Some(out.freeze())
}

/// Whether a string, in its quotes, is one of the names; escapes do not hide it.
fn is_one_of(string: &[u8], names: &[&str]) -> bool {
    let bare = string.get(1..string.len() - 1).unwrap_or_default();
    if memchr::memchr(b'\\', bare).is_none() {
        return names.iter().any(|name| name.as_bytes() == bare);
    }
    serde_json::from_slice::<String>(string).is_ok_and(|key| names.contains(&key.as_str()))
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

/// Lists of task instances have a hundred at most; no document is nearly as long.
const LARGEST: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    const KEY: &str = "rendered_fields";

    fn screened(text: &str) -> String {
        String::from_utf8(screen(text.as_bytes(), &[KEY]).expect(text).to_vec()).unwrap()
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
                r#"[{"rendered_fields":null}]"#,
            ),
            (r#"{"rendered_fields":"x"}"#, r#"{"rendered_fields":""}"#),
            (
                r#"{"rendered_fields":[1,[2]],"c":3}"#,
                r#"{"rendered_fields":[],"c":3}"#,
            ),
            (r#"{"rendered_fields":7 }"#, r#"{"rendered_fields":null}"#),
            (
                r#"{"r\u0065ndered_fields":"hunter2"}"#,
                r#"{"r\u0065ndered_fields":""}"#,
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
            assert_eq!(screen(cut.as_bytes(), &[KEY]), None, "{cut}");
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
                let empty = |value: Value| match value {
                    Value::Array(_) => json!([]),
                    Value::Object(_) => json!({}),
                    Value::String(_) => json!(""),
                    Value::Null | Value::Bool(_) | Value::Number(_) => Value::Null,
                };
                let member = |(key, value): (String, Value)| {
                    let value = if key == KEY {
                        empty(value)
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
            drop(screen(&text, &[KEY]));
        }
    }
}
