//! What the engine reads.

use super::{LIMITS, Request, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use mwaa_http1::{
    BodyDecoder, BodyError, Headers, Parsed, RequestError, ResponseError, parse_request,
    parse_response,
};

/// The reason why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The bytes ended between two messages.
    Clean,
    /// They ended within a message.
    Cut,
    /// The last message was the last of its connection.
    Closed,
    /// A message was refused.
    RequestRefused(RequestError),
    ResponseRefused(ResponseError),
    BodyRefused(BodyError),
}

/// Returns the requests on a connection that ends after these bytes, and why no other follows. The
/// last one may be incomplete.
pub(super) fn read_requests(mut input: &[u8]) -> (Vec<Request>, End) {
    let mut seen = Vec::new();
    loop {
        if input.is_empty() {
            return (seen, End::Clean);
        }
        let (head, size) = match parse_request(input, 0, LIMITS) {
            Ok(Parsed::Complete(head, size)) => (head, size),
            Ok(Parsed::Partial) => return (seen, End::Cut),
            Err(error) => return (seen, End::RequestRefused(error)),
        };
        input = &input[size..];

        let mut decoder = BodyDecoder::new(head.framing);
        let (body, used, end) = read_body(&mut decoder, input);
        let fields = to_map(&head.headers);
        seen.push(Request {
            method: head.method.clone(),
            target: head.target.clone(),
            version: head.version,
            fields,
            body,
            is_complete: decoder.is_complete(),
        });
        if !decoder.is_complete() {
            return (seen, end);
        }
        if !head.keep_alive {
            return (seen, End::Closed);
        }
        input = &input[used..];
    }
}

/// Returns the response to a request with this method, if its head is accepted, and why reading
/// ended. The connection ends after these bytes, or stays open.
pub(super) fn read_response(
    mut input: &[u8],
    method: &http::Method,
    ends: bool,
) -> (Option<Response>, End) {
    loop {
        let (head, size) = match parse_response(input, 0, method) {
            Ok(Parsed::Complete(head, size)) => (head, size),
            Ok(Parsed::Partial) => return (None, End::Cut),
            Err(error) => return (None, End::ResponseRefused(error)),
        };
        input = &input[size..];
        if head.status.is_informational() {
            continue;
        }

        let mut decoder = BodyDecoder::new(head.framing);
        let (body, used, mut end) = read_body(&mut decoder, input);
        if ends && end == End::Cut && decoder.end().is_ok() {
            end = End::Closed;
        }
        let fields = to_map(&head.headers);
        let response = Response {
            status: head.status,
            fields,
            body,
            is_complete: decoder.is_complete(),
            // what follows is unsolicited
            keep_alive: head.keep_alive
                && decoder.is_complete()
                && used == input.len()
                && !ends,
        };
        return (Some(response), end);
    }
}

/// Returns the fields as the map that hyper has. Fails if one of them is lost.
pub(super) fn to_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for header in headers.iter() {
        map.append(
            HeaderName::from_bytes(header.name).expect("a name"),
            HeaderValue::from_bytes(header.value).expect("a value"),
        );
    }
    assert_eq!(map.len(), headers.len(), "a field was lost");
    map
}

/// Returns the data of a body, the size of all of it, and the reason if it is not complete.
pub(super) fn read_body(decoder: &mut BodyDecoder, input: &[u8]) -> (Vec<u8>, usize, End) {
    let mut data = Vec::new();
    let mut used = 0;
    loop {
        let decoded = match decoder.decode(&input[used..]) {
            Ok(decoded) => decoded,
            Err(error) => return (data, used, End::BodyRefused(error)),
        };
        used += decoded.skip;
        data.extend_from_slice(&input[used..used + decoded.data]);
        used += decoded.data;
        if decoder.is_complete() {
            return (data, used, End::Clean);
        }
        if decoded.data == 0 {
            assert_eq!(used, input.len(), "the decoder left bytes behind");
            return (data, used, End::Cut);
        }
    }
}
