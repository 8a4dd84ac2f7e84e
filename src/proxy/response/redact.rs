//! Removes secrets from JSON documents that a read-only client may see otherwise: members of
//! objects, such as the values that a task's templates had when it ran. They become empty; all
//! other bytes remain. Also removes members that are null.

use crate::upstream::UpstreamBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use mwaa_http1::Headers;
use mwaa_http1::name::{CONTENT_ENCODING, CONTENT_TYPE};
use mwaa_model::debug_fields;
use mwaa_server::BoxError;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Returns true if the response is a JSON document.
pub(crate) fn is_json(headers: &Headers) -> bool {
    // as bytes: a parameter that is not ASCII must not hide the type
    let value = headers.get(CONTENT_TYPE);
    let media_type = value.and_then(|value| value.split(|&b| b == b';').next());
    let media_type = media_type.unwrap_or_default().trim_ascii();
    let media_type = media_type.to_ascii_lowercase();
    media_type == b"application/json" || media_type.ends_with(b"+json")
}

/// The body of a JSON document, read whole before the first byte is passed on.
pub struct RedactedBody {
    body: Box<UpstreamBody>,
    /// `None` after the document was passed on.
    document: Option<BytesMut>,
    is_compressed: bool,
    /// The names of the members.
    hidden: &'static [&'static str],
}

debug_fields!(RedactedBody: body, is_compressed, hidden);

impl RedactedBody {
    /// Creates a body without the values of the members that are `hidden`.
    pub(super) fn new(
        body: Box<UpstreamBody>,
        headers: &Headers,
        hidden: &'static [&'static str],
    ) -> Self {
        let coding = headers.get(CONTENT_ENCODING);
        Self {
            body,
            document: Some(BytesMut::new()),
            is_compressed: coding.is_some_and(|coding| coding != b"identity"),
            hidden,
        }
    }
}

impl Body for RedactedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(document) = &mut this.document else {
            return Poll::Ready(None);
        };

        while let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            let data = match frame.map(Frame::into_data) {
                Ok(Ok(data)) => data,
                Ok(Err(_trailers)) => continue,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            // the request did not accept a coding
            if this.is_compressed {
                return fail("the web server sent compressed data");
            }
            if document.len() + data.len() > MAX_DOCUMENT {
                return fail("the web server's document is too large");
            }
            document.extend_from_slice(&data);
        }

        let document = this.document.take().unwrap_or_default();
        match redact(&document, this.hidden) {
            Some(document) if document.is_empty() => Poll::Ready(None),
            Some(document) => Poll::Ready(Some(Ok(Frame::data(document)))),
            None => fail("the web server's document is not JSON"),
        }
    }
}

/// Returns an error as the body's next frame.
fn fail<T>(
    reason: &'static str,
) -> Poll<Option<Result<T, Box<dyn std::error::Error + Send + Sync>>>> {
    let error = io::Error::new(io::ErrorKind::InvalidData, reason);
    Poll::Ready(Some(Err(error.into())))
}

/// Returns the document with an empty value for each member of these names: `{}` for an object, `""`
/// for text, and so on. `None` means that it is no JSON.
pub(super) fn redact(document: &[u8], hidden: &[&str]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(document.len());
    let mut rest = document;

    // from string to string: nothing else can be a name
    while let Some(at) = memchr::memchr(b'"', rest) {
        let string = rest.get(at..)?;
        let (text, after) = string.split_at(find_string_end(string)?);
        // a string before a colon is a member's name
        let gap = after.len() - after.trim_ascii_start().len();
        let is_key = after.get(gap) == Some(&b':');
        out.extend_from_slice(rest.get(..at + text.len())?);
        rest = after;
        if !(is_key && is_hidden(text, hidden)) {
            continue;
        }

        let value = after.get(gap + 1..)?.trim_ascii_start();
        rest = value.get(find_value_end(value)?..)?;
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

/// Returns the document without the members that are null, at every depth; elements of lists stay, and
/// so does every other byte. `None` means that it is no JSON.
pub fn drop_nulls(document: &[u8]) -> Option<Bytes> {
    let mut out = BytesMut::with_capacity(document.len());
    let mut rest = document;
    while let Some(at) = memchr::memchr(b'"', rest) {
        let string = rest.get(at..)?;
        let (text, after) = string.split_at(find_string_end(string)?);
        let value = after.trim_ascii_start().strip_prefix(b":");
        let Some(after_null) = value.and_then(|v| v.trim_ascii_start().strip_prefix(b"null"))
        else {
            out.extend_from_slice(rest.get(..at + text.len())?);
            rest = after;
            continue;
        };

        // with the comma after it, or else with the one before it
        out.extend_from_slice(rest.get(..at)?);
        rest = after_null.trim_ascii_start();
        if let Some(next) = rest.strip_prefix(b",") {
            rest = next;
        } else {
            let kept = out.trim_ascii_end();
            let kept = kept.strip_suffix(b",").unwrap_or(kept).len();
            out.truncate(kept);
        }
    }
    out.extend_from_slice(rest);
    Some(out.freeze())
}

/// Returns true if a string, in its quotes, is one of the names, also if it has escapes.
fn is_hidden(string: &[u8], names: &[&str]) -> bool {
    let text = string.get(1..string.len() - 1).unwrap_or_default();
    // nearly every name is written without escapes
    if memchr::memchr(b'\\', text).is_none() {
        return names.iter().any(|name| name.as_bytes() == text);
    }
    serde_json::from_slice::<String>(string).is_ok_and(|key| names.contains(&key.as_str()))
}

/// Returns the length of the string at the beginning, with its quotes.
fn find_string_end(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        match text.get(at)? {
            b'"' => return Some(at + 1),
            _escape => at += 2,
        }
    }
}

/// Returns the length of the value at the beginning.
fn find_value_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => at += find_string_end(text.get(at..)?)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                // it ends the value, or the object or array around it
                let Some(outer) = depth.checked_sub(1) else {
                    return Some(at);
                };
                depth = outer;
                at += 1;
            }
            // a number, `true`, `false` or `null` has ended
            b',' if depth == 0 => return Some(at),
            _ => {
                at += 1;
                continue;
            }
        }

        // a string, an object or an array has ended
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The longest document, in bytes. Lists of task instances have a hundred entries at most, which is
/// far less.
const MAX_DOCUMENT: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    const KEY: &str = "rendered_fields";

    fn redacted(text: &str) -> String {
        String::from_utf8(redact(text.as_bytes(), &[KEY]).expect(text).to_vec()).unwrap()
    }

    #[test]
    fn only_the_named_values_are_redacted() {
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
            assert_eq!(redacted(from), to);
        }
        for cut in [
            r#"{"rendered_fields":{"a""#,
            r#"{"rendered_fie"#,
            r#"{"rendered_fields":"#,
        ] {
            assert_eq!(redact(cut.as_bytes(), &[KEY]), None, "{cut}");
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

    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(without_nulls).collect(),
            Value::Object(members) => {
                let kept = members.into_iter().filter(|(_, value)| !value.is_null());
                let kept = kept.map(|(key, value)| (key, without_nulls(value)));
                Value::Object(kept.collect::<Map<_, _>>())
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                plain
            }
        }
    }

    proptest! {
        #[test]
        fn dropping_nulls_agrees_with_a_json_parser(document in documents(), pretty: bool) {
            let text = if pretty { format!("{document:#}") } else { document.to_string() };
            let kept = drop_nulls(text.as_bytes()).unwrap();
            let read: Value = serde_json::from_slice(&kept).unwrap();
            prop_assert_eq!(read, without_nulls(document));
        }

        #[test]
        fn redaction_agrees_with_a_json_parser(document in documents(), pretty: bool) {
            let text = if pretty { format!("{document:#}") } else { document.to_string() };
            let read: Value = serde_json::from_str(&redacted(&text)).unwrap();
            prop_assert_eq!(read, without(document));
        }

        #[test]
        fn redacting_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut text = br#"{"rendered_fields":"#.to_vec();
            text.extend(bytes);
            drop(redact(&text, &[KEY]));
            drop(drop_nulls(&text));
        }
    }
}
