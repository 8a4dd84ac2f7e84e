//! Hostile requests on real sockets. Whatever is refused opens no connection to the web server,
//! asks AWS for nothing, and says why; whatever passes reaches it in one reading only.

mod bodies;
mod browsers;
mod callers;
mod framing;
mod headers;
mod hosts;
mod limits;
mod repeated;
mod targets;

use crate::support::{Harness, Response};

/// With its version configured, the gateway has nothing to ask of AWS before a token.
const QUIET: &str = "[environments.demo]\nairflow_version = \"2.10.3\"\n";

/// A request that is refused: a name, the bytes (`HOST` is replaced by the right host and port),
/// the accepted statuses, and the fault code.
type Refusal = (&'static str, String, &'static [u16], Option<&'static str>);

/// `POST /aws_mwaa/cli` with these header fields, each with its line's end.
fn cli(headers: &str) -> String {
    post("/aws_mwaa/cli", headers)
}

fn post(target: &str, headers: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: HOST\r\nContent-Type: text/plain\r\n{headers}\
         Content-Length: 7\r\n\r\nversion"
    )
}

/// Any method, without a body.
fn bare(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: HOST\r\n{headers}\r\n")
}

/// Another head than usual, `HOST` included by the caller where it is wanted.
fn with_hosts(hosts: &str) -> String {
    cli("").replace("Host: HOST\r\n", hosts)
}

fn filled(harness: &Harness, request: &str) -> String {
    request.replace("HOST", &harness.address().to_string())
}

/// Nothing of this world has been touched (the first of the rules).
fn untouched(harness: &Harness) -> bool {
    let journal = harness.journal();
    journal.web_connections() == 0 && journal.control_count() == 0
}

/// Sends a request on a connection of its own.
async fn ask(harness: &Harness, request: &str) -> Response {
    let mut client = harness.connect().await;
    client.exchange(filled(harness, request)).await
}

async fn all_refused(harness: &Harness, refusals: &[Refusal]) {
    for (name, request, statuses, code) in refusals {
        let reply = ask(harness, request).await;
        assert!(statuses.contains(&reply.status), "{name}: {reply}");
        assert_eq!(reply.fault(), *code, "{name}: {reply}");
        if code.is_some() {
            assert!(reply.header("mwaa-gateway-request-id").is_some(), "{name}");
        }
        assert!(untouched(harness), "{name}: something was asked or sent");
    }
}

/// What the web server gets from us, and nothing else.
const OURS: [&str; 5] = [
    "authorization",
    "content-length",
    "content-type",
    "host",
    "user-agent",
];

/// The names of the header fields of the last request that the web server saw, sorted.
fn names(harness: &Harness) -> Vec<String> {
    let last = harness.journal().web_requests().pop().unwrap();
    let mut names: Vec<_> = last.headers.into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}
