//! The engine against hyper, which shares only the tokeniser with it: whatever the engine accepts,
//! hyper reads in the same way. The engine may refuse more.
//!
//! `FUZZ_COUNT` says how many inputs each target gets, `FUZZ_SEED` which. A long run, a hundred
//! million: `FUZZ_COUNT=100000000 cargo test --release --package mwaa-gateway-fuzz http1`.

mod engine;
mod grammar;
mod guardian;
mod hyper;

use crate::setting;
use engine::{End, to_map};
use fastrand::Rng;
use mwaa_http1::{BodyDecoder, Framing, Parsed, RequestLimits, parse_request, parse_response};
use std::thread;

/// Inputs of a run that says nothing else.
const COUNT: u64 = 100_000;

/// The limits of the engine. hyper has the same number of fields, and no other limit that these
/// inputs reach.
const LIMITS: RequestLimits = RequestLimits {
    size: 32 * 1024,
    fields: 64,
};
const MAX_RESPONSE_FIELDS: usize = 128;

/// A request as a reader of HTTP/1.1 saw it.
#[derive(Debug, PartialEq)]
struct Request {
    method: http::Method,
    target: http::Uri,
    version: http::Version,
    fields: http::HeaderMap,
    body: Vec<u8>,
    is_complete: bool,
}

/// A response as a reader of HTTP/1.1 saw it.
#[derive(Debug, PartialEq)]
struct Response {
    status: http::StatusCode,
    fields: http::HeaderMap,
    body: Vec<u8>,
    is_complete: bool,
    /// True if another request can follow on the connection.
    keep_alive: bool,
}

#[test]
fn hyper_reads_the_requests_that_the_engine_accepts() {
    let accepted = run("requests", 1, |random| {
        let input = grammar::requests(random);
        let (requests, end) = engine::read_requests(&input);
        if !requests.is_empty() {
            let others = hyper::read_requests(&input);
            compare_requests(&requests, end, &others)
                .map_err(|finding| format!("{}: {finding}", escape(&input)))?;
        }
        Ok(matches!(end, End::Clean | End::Closed))
    });
    assert!((0.2..0.9).contains(&accepted), "{accepted} were accepted");
}

/// Fails if hyper does not see each of the requests that the engine saw, and no other one.
fn compare_requests(requests: &[Request], end: End, others: &[Request]) -> Result<(), String> {
    for (index, request) in requests.iter().enumerate() {
        let Some(other) = others.get(index) else {
            return Err(format!("hyper does not read {request:?}"));
        };
        let is_same = if request.is_complete {
            request == other
        } else {
            // hyper may take more of it, because it refuses less
            other.body.starts_with(&request.body)
                && (&request.method, &request.target) == (&other.method, &other.target)
                && request.fields == other.fields
        };
        if !is_same {
            return Err(format!("{request:?} is {other:?} for hyper"));
        }
    }

    let is_refused = matches!(end, End::RequestRefused(_) | End::BodyRefused(_));
    if others.len() != requests.len() && !is_refused {
        return Err(format!(
            "hyper reads {} requests, not {}",
            others.len(),
            requests.len()
        ));
    }
    Ok(())
}

#[test]
fn hyper_reads_the_responses_that_the_engine_accepts() {
    let accepted = run("responses", 1, |random| {
        let input = grammar::response(random);
        let method = random
            .choice([http::Method::GET, http::Method::POST, http::Method::HEAD])
            .unwrap_or_default();
        let ends = random.bool();
        let (response, end) = engine::read_response(&input, &method, ends);
        let Some(response) = response else {
            return Ok(false);
        };
        let other = hyper::read_response(&input, &method, ends);
        compare_responses(&response, other.as_ref()).map_err(|finding| {
            format!("{method}, ends={ends}, {}: {finding}", escape(&input))
        })?;
        Ok(response.is_complete && end != End::Cut)
    });
    assert!((0.2..0.9).contains(&accepted), "{accepted} were accepted");
}

/// Fails if the response that the engine saw is another one for hyper.
fn compare_responses(response: &Response, other: Option<&Response>) -> Result<(), String> {
    let Some(other) = other else {
        return Err(format!("hyper does not read {response:?}"));
    };
    let is_head_same = response.status == other.status && response.fields == other.fields;
    let is_body_same = if response.is_complete {
        other.is_complete && response.body == other.body
    } else {
        other.body.starts_with(&response.body)
    };
    // the engine may close a connection that hyper keeps
    let is_kept_too = other.keep_alive || !response.keep_alive;
    if !is_head_same || !is_body_same || !is_kept_too {
        return Err(format!("{response:?} is {other:?} for hyper"));
    }
    Ok(())
}

/// However its bytes are cut, a message is the same; and one that is cut short is not complete.
#[test]
fn a_message_is_the_same_wherever_it_is_cut() {
    run("cut requests", 50, |random| {
        let input = if random.bool() {
            grammar::valid_requests(random)
        } else {
            grammar::requests(random)
        };
        check_cuts(&input, |input, seen| {
            let parsed = parse_request(input, seen, LIMITS).map_err(drop)?;
            Ok(map(parsed, |head| {
                let facts = (&head.method, &head.target, head.version, head.keep_alive);
                (
                    format!("{facts:?} {:?}", to_map(&head.headers)),
                    head.framing,
                )
            }))
        })
        .map_err(|finding| format!("{}: {finding}", escape(&input)))
    });
    run("cut responses", 50, |random| {
        let input = if random.bool() {
            grammar::valid_response(random)
        } else {
            grammar::response(random)
        };
        check_cuts(&input, |input, seen| {
            let parsed = parse_response(input, seen, &http::Method::GET).map_err(drop)?;
            Ok(map(parsed, |head| {
                let facts = (head.status, head.keep_alive);
                (
                    format!("{facts:?} {:?}", to_map(&head.headers)),
                    head.framing,
                )
            }))
        })
        .map_err(|finding| format!("{}: {finding}", escape(&input)))
    });
}

/// The facts of a head, and the framing of its body.
type Facts = (String, Framing);

fn map<T>(parsed: Parsed<T>, facts: impl FnOnce(T) -> Facts) -> Parsed<Facts> {
    match parsed {
        Parsed::Complete(head, size) => Parsed::Complete(facts(head), size),
        Parsed::Partial => Parsed::Partial,
    }
}

/// Reads messages in one piece and byte by byte. Fails if they differ. Returns true if the first one
/// is complete.
fn check_cuts(
    input: &[u8],
    parse: impl Fn(&[u8], usize) -> Result<Parsed<Facts>, ()>,
) -> Result<bool, String> {
    let whole = parse(input, 0);
    let mut cut = Ok(Parsed::Partial);
    for end in 1..=input.len() {
        cut = parse(&input[..end], end - 1);
        if !matches!(cut, Ok(Parsed::Partial)) {
            break;
        }
    }

    match (whole, cut) {
        // byte by byte, a line is refused at its end
        (Err(()), Ok(Parsed::Partial)) => {
            let line = [input, b"\n"].concat();
            match parse(&line, input.len()) {
                Err(()) => Ok(false),
                Ok(_) => Err("refused in one piece, accepted byte by byte".to_owned()),
            }
        }
        (Err(()), Err(())) | (Ok(Parsed::Partial), Ok(Parsed::Partial)) => Ok(false),
        (Ok(Parsed::Complete(facts, size)), Ok(Parsed::Complete(other, other_size)))
            if facts == other && size == other_size =>
        {
            let body = &input[size..];
            let Some(used) = check_body_cuts(body, facts.1)? else {
                return Ok(false);
            };
            if used < body.len() {
                check_cuts(&body[used..], parse)?;
            }
            Ok(true)
        }
        (whole, cut) => Err(format!("{whole:?} in one piece, {cut:?} byte by byte")),
    }
}

/// Reads a body in one piece and byte by byte. Fails if they differ. Returns its size if it is
/// complete.
fn check_body_cuts(input: &[u8], framing: Framing) -> Result<Option<usize>, String> {
    let mut decoder = BodyDecoder::new(framing);
    let (data, used, _) = engine::read_body(&mut decoder, input);

    let mut cut_decoder = BodyDecoder::new(framing);
    let mut cut_data = Vec::new();
    let mut cut_used = 0;
    while cut_used < input.len() && !cut_decoder.is_complete() {
        let Ok(decoded) = cut_decoder.decode(&input[cut_used..=cut_used]) else {
            break;
        };
        assert_eq!(decoded.skip + decoded.data, 1, "one byte was read");
        cut_data.extend_from_slice(&input[cut_used..cut_used + decoded.data]);
        cut_used += 1;
    }

    let is_complete = decoder.is_complete();
    if (&data, decoder) != (&cut_data, cut_decoder) || is_complete && used != cut_used {
        return Err(format!(
            "{data:?} of {used} bytes in one piece, {cut_data:?} of {cut_used} byte by byte"
        ));
    }
    Ok(is_complete.then_some(used))
}

/// Runs a target on its inputs, `share` times fewer than the setting says. Fails with the first
/// finding. Returns the share of inputs for which the target returned true.
fn run(
    name: &str,
    share: u64,
    target: impl Fn(&mut Rng) -> Result<bool, String> + Sync,
) -> f64 {
    let count = (setting("FUZZ_COUNT").unwrap_or(COUNT) / share).max(1);
    let seed = setting("FUZZ_SEED").unwrap_or(4);
    let threads = thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    let accepted: u64 = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|first| {
                let target = &target;
                scope.spawn(move || {
                    let mut accepted = 0;
                    for number in (first..count).step_by(usize::try_from(threads).unwrap()) {
                        let mut random = crate::numbered(seed, number);
                        match target(&mut random) {
                            Ok(is_accepted) => accepted += u64::from(is_accepted),
                            Err(finding) => {
                                panic!("FUZZ_SEED={seed}, number {number}, {finding}")
                            }
                        }
                    }
                    accepted
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("a run without a finding"))
            .sum()
    });
    println!(
        "fuzz: {count} {name}, FUZZ_SEED={seed}, {accepted} of them complete and accepted"
    );
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    let share = accepted as f64 / count as f64;
    share
}

fn escape(input: &[u8]) -> String {
    format!("b\"{}\"", input.escape_ascii())
}
