//! Properties of reading and writing: no bytes panic, where the bytes are cut does not matter, and
//! what is written is read back.

use super::*;
use http::{Method, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const LIMITS: RequestLimits = RequestLimits {
    size: 32 * 1024,
    fields: 64,
};

/// Bytes of which many nearly make a message.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"POST /a?b HTTP/1.0\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 ",
        b"Host: a\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X_Y: ",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
    ];
    let part = prop_oneof![
        8 => select(parts).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..3),
    ];
    vec(part, 0..10).prop_map(|parts| parts.concat())
}

/// Names and values of fields.
type Pairs = Vec<(String, Vec<u8>)>;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        // no name that means something to the framing
        4 => "[xyz][a-z0-9!#$%&'*+.^`|~-]{0,12}",
        1 => select(vec!["accept", "host", "x-requested-with"]).prop_map(str::to_owned),
    ]
}

fn fields() -> impl Strategy<Value = Pairs> {
    let inner = vec(prop_oneof![Just(b'\t'), b' '..=b'~', 0x80..=0xff_u8], 0..20);
    let value = inner.prop_map(|value| value.trim_ascii().to_vec());
    vec((name(), value), 0..10)
}

fn to_pairs(headers: &Headers) -> Pairs {
    let headers = headers.iter();
    headers
        .map(|header| {
            (
                String::from_utf8_lossy(header.name).into_owned(),
                header.value.to_vec(),
            )
        })
        .collect()
}

/// The fields as they are written, and the names that are there.
fn to_lines(headers: &Headers) -> (String, NameSet) {
    let mut lines = Vec::new();
    headers.encode(&mut lines, |_name| true);
    (lines.escape_ascii().to_string(), headers.present())
}

/// The facts of a head and its size.
type Facts = (String, Framing, usize);

/// The result of reading: a head, or that there is none yet.
type Read<E> = Result<Option<Facts>, E>;

fn describe_request(head: &RequestHead, size: usize) -> Facts {
    let facts = (&head.method, &head.target, head.version, head.keep_alive);
    let fields = (to_pairs(&head.headers), to_lines(&head.headers));
    let facts = format!("{facts:?} {} {fields:?}", head.expects_continue);
    (facts, head.framing, size)
}

fn describe_response(head: &ResponseHead, size: usize) -> Facts {
    let fields = (to_pairs(&head.headers), to_lines(&head.headers));
    let facts = format!("{} {} {fields:?}", head.status, head.keep_alive);
    (facts, head.framing, size)
}

fn read_request(input: &[u8], seen: usize) -> Read<RequestError> {
    Ok(match parse_request(input, seen, LIMITS)? {
        Parsed::Complete(head, size) => Some(describe_request(&head, size)),
        Parsed::Partial => None,
    })
}

fn read_response(input: &[u8], seen: usize) -> Read<ResponseError> {
    Ok(match parse_response(input, seen, &Method::GET)? {
        Parsed::Complete(head, size) => Some(describe_response(&head, size)),
        Parsed::Partial => None,
    })
}

/// Returns the result of reading if the bytes arrive one by one.
fn read_slowly<E>(input: &[u8], read: impl Fn(&[u8], usize) -> Read<E>) -> Read<E> {
    for end in 1..=input.len() {
        let result = read(&input[..end], end - 1)?;
        if result.is_some() {
            return Ok(result);
        }
    }
    Ok(None)
}

/// Returns the data of a body, the size of all of it, and its decoder.
fn read_body(framing: Framing, input: &[u8], step: usize) -> (Vec<u8>, usize, BodyDecoder) {
    let mut decoder = BodyDecoder::new(framing);
    let mut data = Vec::new();
    let mut used = 0;
    while used < input.len() && !decoder.is_complete() {
        let end = input.len().min(used.saturating_add(step));
        let Ok(decoded) = decoder.decode(&input[used..end]) else {
            break;
        };
        used += decoded.skip;
        data.extend_from_slice(&input[used..used + decoded.data]);
        used += decoded.data;
    }
    (data, used, decoder)
}

/// Heads of which some have their usual form, and many nearly have it.
fn heads(first_lines: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<&[u8]> = vec![
        b"Host: a\r\n",
        b"host: a b\r\n",
        b"X-Y: z\tz\r\n",
        b"X-Y: caf\xe9\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Accept:*/*\r\n",
        b"Accept:  a\r\n",
        b"Accept: \ta\r\n",
        b"Accept: a \r\n",
        b"Accept: \r\n",
        b"Accept:\r\n",
        b"Accept : a\r\n",
        b" a\r\n",
        b": a\r\n",
        b"a\r\n",
        b"X_Y: z\r\n",
        b"Content.Length: 3\r\n",
        b"X-Y: \x7f\r\n",
        b"X-Y: a\0b\r\n",
        b"X\xe9: a\r\n",
        b"A: b\n",
        b"A: b\rC: d\r\n",
        b"A: b\nC: d\r\n",
        b"\r\n",
    ];
    let any_line = (name(), vec(any::<u8>(), 0..12))
        .prop_map(|(name, value)| [name.as_bytes(), b": ", &value, b"\r\n"].concat());
    let line = prop_oneof![
        2 => select(lines).prop_map(<[u8]>::to_vec),
        1 => any_line,
    ];
    let rest = (vec(line, 0..5), vec(any::<u8>(), 0..3));
    (select(first_lines), rest).prop_map(|(first, (lines, rest))| {
        [first.as_bytes(), &lines.concat(), b"\r\n", &rest].concat()
    })
}

proptest! {
    #[test]
    fn the_usual_form_of_a_request_is_read_as_any_form(input in heads(&[
        "GET / HTTP/1.1\r\n",
        "POST /a?b=%20 HTTP/1.1\r\n",
        "PUT /a#b HTTP/1.1\r\n",
        "GET /\t HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET  / HTTP/1.1\r\n",
        "GET /\u{e9} HTTP/1.1\r\n",
        "GET /< HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "get / HTTP/1.1\r\n",
        "GET * HTTP/1.1\r\n",
        "GET / HTTP/1.1\n",
        "\r\n",
    ])) {
        if let Some(usual) = request::parse_usual(&input, LIMITS) {
            let Ok(Parsed::Complete(head, size)) = request::parse(&input, LIMITS) else {
                return Err(TestCaseError::fail("it is no head in any form"));
            };
            prop_assert_eq!(describe_request(&usual.0, usual.1), describe_request(&head, size));
        }
    }

    #[test]
    fn the_usual_form_of_a_response_is_read_as_any_form(input in heads(&[
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 404 \u{e9}\t\r\n",
        "HTTP/1.1 200 \r\n",
        "HTTP/1.1 200\r\n",
        "HTTP/1.1 100 Continue\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/1.1 600 A\r\n",
        "HTTP/1.1 +20 A\r\n",
        "HTTP/1.1 2000\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 200 \u{1}\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 200 OK\n",
    ])) {
        if let Some(usual) = response::parse_usual(&input, &Method::GET) {
            let Ok(Parsed::Complete(head, size)) = response::parse(&input, &Method::GET) else {
                return Err(TestCaseError::fail("it is no head in any form"));
            };
            prop_assert_eq!(describe_response(&usual.0, usual.1), describe_response(&head, size));
        }
    }

    #[test]
    fn fields_in_a_row_are_written_as_one_by_one(fields in fields(), left_out in name()) {
        let pairs = fields.iter().map(|(name, value)| (name, value));
        let mut headers: Headers = pairs.collect();
        headers.append(name::ACCEPT, "a");
        headers.append_missing(&Headers::from_iter([("Accept", "b"), ("Location", "c")]));
        let left_out = Name::find(left_out.as_bytes());
        let keep = |name: Option<Name>| name.is_some() && name != left_out;

        let mut at_once = Vec::new();
        headers.encode(&mut at_once, keep);
        let mut one_by_one = Vec::new();
        for header in headers.iter().filter(|header| keep(header.known)) {
            encode::field(&mut one_by_one, header.name, header.value);
        }
        prop_assert_eq!(at_once, one_by_one);
        let accepted = headers.get_all(name::ACCEPT).last();
        prop_assert_eq!(accepted, Some(&b"a"[..]));
        prop_assert_eq!(headers.get(name::LOCATION), Some(&b"c"[..]));
    }

    #[test]
    fn a_request_is_the_same_byte_by_byte(input in bytes()) {
        let whole = read_request(&input, 0);
        let slow = read_slowly(&input, read_request);
        // a line is refused at its end
        let is_waiting = whole.is_err() && slow == Ok(None) && !input.ends_with(b"\n");
        prop_assert!(
            whole == slow || whole.is_err() && slow.is_err() || is_waiting,
            "{whole:?} {slow:?}"
        );
    }

    #[test]
    fn a_response_is_the_same_byte_by_byte(input in bytes()) {
        let whole = read_response(&input, 0);
        let slow = read_slowly(&input, read_response);
        let is_waiting = whole.is_err() && slow == Ok(None) && !input.ends_with(b"\n");
        prop_assert!(
            whole == slow || whole.is_err() && slow.is_err() || is_waiting,
            "{whole:?} {slow:?}"
        );
    }

    #[test]
    fn a_body_is_the_same_byte_by_byte(input in bytes(), length in 0_u64..50) {
        for framing in [Framing::Chunked, Framing::Length(length), Framing::UntilClose] {
            let (data, used, decoder) = read_body(framing, &input, usize::MAX);
            let (slow_data, slow_used, slow_decoder) = read_body(framing, &input, 1);
            prop_assert_eq!(&data, &slow_data);
            prop_assert_eq!(decoder, slow_decoder);
            prop_assert!(used == slow_used || !decoder.is_complete());
        }
    }

    #[test]
    fn no_bytes_panic(input in vec(any::<u8>(), 0..200), seen in 0_usize..300) {
        // also with more bytes seen than there are
        let _ = parse_request(&input, seen, LIMITS);
        let _ = parse_response(&input, seen, &Method::HEAD);
        let _ = BodyDecoder::new(Framing::Chunked).decode(&input);
    }

    #[test]
    fn a_written_request_is_read_back(
        method in "[A-Z]{1,8}",
        target in "/[a-zA-Z0-9/?&=%.;~_-]{0,20}",
        fields in fields(),
        chunks in vec(vec(any::<u8>(), 1..40), 0..4),
    ) {
        let mut out = Vec::new();
        encode::request_line(&mut out, &method, &target);
        for (name, value) in &fields {
            encode::field(&mut out, name, value);
        }
        encode::chunked(&mut out);
        encode::end_head(&mut out);
        let size = out.len();
        for chunk in &chunks {
            encode::chunk_size(&mut out, chunk.len());
            out.extend_from_slice(chunk);
            out.extend_from_slice(encode::CHUNK_END);
        }
        out.extend_from_slice(encode::LAST_CHUNK);

        let Parsed::Complete(head, read) = parse_request(&out, 0, LIMITS).unwrap() else {
            panic!("it is not complete");
        };
        prop_assert_eq!(read, size);
        prop_assert_eq!(head.method.as_str(), method);
        prop_assert_eq!(head.target.to_string(), target);
        let mut headers = to_pairs(&head.headers);
        prop_assert_eq!(headers.pop(), Some(("transfer-encoding".to_owned(), "chunked".into())));
        prop_assert_eq!(headers, fields);
        let (data, used, decoder) = read_body(head.framing, &out[read..], usize::MAX);
        prop_assert_eq!(data, chunks.concat());
        prop_assert!(decoder.is_complete());
        prop_assert_eq!(read + used, out.len());
    }

    #[test]
    fn a_written_response_is_read_back(
        status in 200_u16..600,
        fields in fields(),
        body in vec(any::<u8>(), 0..40),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut out = encode::CONTINUE.to_vec();
        encode::status_line(&mut out, status);
        for (name, value) in &fields {
            encode::field(&mut out, name, value);
        }
        encode::content_length(&mut out, body.len() as u64);
        encode::end_head(&mut out);

        let Parsed::Complete(interim, read) = parse_response(&out, 0, &Method::PUT).unwrap() else {
            panic!("it is not complete");
        };
        prop_assert_eq!(interim.status, StatusCode::CONTINUE);
        let rest = &out[read..];
        let Parsed::Complete(head, read) = parse_response(rest, 0, &Method::PUT).unwrap() else {
            panic!("it is not complete");
        };
        prop_assert_eq!(read, rest.len());
        prop_assert_eq!(head.status, status);
        let mut headers = to_pairs(&head.headers);
        prop_assert_eq!(headers.pop(), Some(("content-length".to_owned(), body.len().to_string().into())));
        prop_assert_eq!(headers, fields);
        let is_bodiless = matches!(status.as_u16(), 204 | 304);
        let length = if is_bodiless { 0 } else { body.len() as u64 };
        prop_assert_eq!(head.framing, Framing::Length(length));
    }
}
