//! The requests to web servers: the head, made from parsed values only, from an allow-list, with the
//! credential last; and the body, whole, so that it can be sent again, or an upload.

use crate::context::RequestContext;
use crate::steps::Position;
use bytes::Bytes;
use http::Method;
use mwaa_auth::{CliToken, Session};
use mwaa_http1::name::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, IF_RANGE,
    ORIGIN, RANGE, REFERER, TRACEPARENT, TRACESTATE, USER_AGENT,
};
use mwaa_http1::{Headers, NameSet, encode};
use mwaa_model::{ALWAYS_FORWARDED, Dest, FORWARDED};
use mwaa_policy::WebPermit;
use mwaa_runtime::{CoarseTimer, Deadline, PaceLimit, boot_clock};
use mwaa_server::RequestBody;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Writes the head of the request for `/aws_mwaa/cli`, up to the framing of its body: one Host, one
/// token. `client` are the client's headers.
pub(super) fn command(
    token: &CliToken,
    client: &Headers,
    position: Option<Position>,
    out: &mut Vec<u8>,
) {
    encode::request_line(out, "POST", "/aws_mwaa/cli");
    let forwarded = ALWAYS_FORWARDED.without(replaced_fields(position));
    client.encode(out, |name| {
        name.is_some_and(|name| forwarded.contains(name))
    });
    add_position(position, out);
    if !client.contains(USER_AGENT) {
        encode::field(out, "user-agent", OUR_USER_AGENT.as_bytes());
    }
    encode::field(out, "content-type", b"text/plain");
    encode::field(out, "host", token.host_field().as_bytes());
    encode::field(out, "authorization", token.authorization().as_bytes());
}

/// Writes the head of a request for the REST API or the UI, up to the framing of its body: the path
/// and query that were checked, the listed fields of the client, and the session. `client` are the
/// client's headers.
pub(super) fn web(
    permit: &WebPermit,
    session: &Session,
    client: &Headers,
    ctx: &RequestContext,
    out: &mut Vec<u8>,
) {
    let target = permit.target();
    encode::request_line(out, permit.method().as_str(), target.as_str());

    let mut fields = WebFields::new(permit, client, ctx);
    let position = ctx.steps().position();
    fields.forwarded = fields.forwarded.without(replaced_fields(position));
    // one pass over what the client sent, which is less than what it may send
    client.encode(out, |name| {
        name.is_some_and(|name| fields.forwarded.contains(name))
    });
    add_position(position, out);
    for name in [ORIGIN, REFERER] {
        if let Some(value) = client.get_str(name)
            && let Some(theirs) = to_web_server(value, &ctx.origin(), session.host())
        {
            encode::field(out, name.as_str(), theirs.as_bytes());
        }
    }

    if fields.must_be_plain {
        encode::field(out, "accept-encoding", b"identity");
    }
    if !client.contains(USER_AGENT) {
        encode::field(out, "user-agent", OUR_USER_AGENT.as_bytes());
    }
    encode::field(out, "host", session.host_field().as_bytes());
    encode::field(out, "cookie", session.cookies().as_bytes());
    // the FAB provider's own pages look at their cookie only
    if let Some(bearer) = session.bearer()
        && !permit.target().path().starts_with("/auth/")
    {
        encode::field(out, "authorization", bearer.as_bytes());
    }
}

/// Returns the client's fields about its trace that are not passed on.
fn replaced_fields(position: Option<Position>) -> NameSet {
    match position {
        None => NameSet::new(&[]),
        Some(position) if position.keeps_state => OF_POSITION,
        Some(_) => OF_TRACE,
    }
}

/// Writes the position in the trace, if it is not the client's.
fn add_position(position: Option<Position>, out: &mut Vec<u8>) {
    if let Some(position) = position {
        encode::field(
            out,
            TRACEPARENT.as_str(),
            position.context.to_string().as_bytes(),
        );
    }
}

/// The fields of a client that its request to the web server keeps.
struct WebFields {
    forwarded: NameSet,
    /// The response is rewritten or searched on its way back, so it must not be compressed.
    must_be_plain: bool,
}

impl WebFields {
    fn new(permit: &WebPermit, client: &Headers, ctx: &RequestContext) -> Self {
        let is_searched = !permit.hidden().is_empty();
        let must_be_plain = is_searched || is_document(client, ctx);
        let mut forwarded = ALWAYS_FORWARDED.union(FORWARDED);

        // the body of these has no meaning and is not forwarded (RFC 9110 section 9.3.1)
        if let Method::GET | Method::HEAD | Method::OPTIONS = *permit.method() {
            forwarded = forwarded.without(OF_BODY);
        }
        // a response that is searched must be whole
        if is_searched {
            forwarded = forwarded.without(OF_RANGE);
        }
        if must_be_plain {
            forwarded = forwarded.without(OF_CODING);
        }
        Self {
            forwarded,
            must_be_plain,
        }
    }
}

const OF_POSITION: NameSet = NameSet::new(&[TRACEPARENT]);
const OF_TRACE: NameSet = NameSet::new(&[TRACEPARENT, TRACESTATE]);
const OF_BODY: NameSet = NameSet::new(&[CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE]);
const OF_RANGE: NameSet = NameSet::new(&[RANGE, IF_RANGE]);
const OF_CODING: NameSet = NameSet::new(&[ACCEPT_ENCODING]);

/// Returns true if the response will be shown as a document or a frame of its own.
fn is_document(client: &Headers, ctx: &RequestContext) -> bool {
    if let Some(dest) = ctx.user_agent().fetch.dest {
        return matches!(dest, Dest::Document | Dest::Frame);
    }
    let accept = client.get(ACCEPT).unwrap_or_default();
    memchr::memmem::find(accept, b"text/html").is_some()
}

/// Returns an `Origin` or `Referer` of ours as the web server's own pages would send it:
/// Flask-WTF compares the Referer with the Host. `None` for an address that is not ours, which is
/// not forwarded.
fn to_web_server(value: &str, origin: &str, host: &str) -> Option<String> {
    let rest = value.strip_prefix(origin)?;
    // `http://localhost:80801` begins like our origin, and is another one
    let is_ours = rest.is_empty() || rest.starts_with('/');
    is_ours.then(|| format!("https://{host}{rest}"))
}

/// For clients that do not say who they are.
pub(super) const OUR_USER_AGENT: &str = concat!("mwaa-gateway/", env!("CARGO_PKG_VERSION"));

/// A request body.
pub enum OutgoingBody {
    /// Passed on as the client sends it. Boxed: few requests have one, and all are moved.
    Stream(Box<Upload>),
    /// In memory; empty for most requests.
    Whole(Bytes),
}

impl fmt::Debug for OutgoingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(upload) => upload.fmt(f),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
        }
    }
}

impl OutgoingBody {
    /// Returns the same body for a second request, if it is in memory. It counts a reference and
    /// copies nothing.
    pub fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Stream(_) => None,
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
        }
    }

    /// Returns true for no body at all.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    /// Returns the progress of an upload; `None` for a body in memory.
    pub fn progress(&self) -> Option<Rc<UploadProgress>> {
        match self {
            Self::Stream(upload) => Some(upload.progress()),
            Self::Whole(_) => None,
        }
    }
}

/// A client's body that is passed on as it comes, bounded in size and in time.
#[derive(Debug)]
pub struct Upload {
    incoming: RequestBody,
    size: Option<u64>,
    left: u64,
    came: u64,
    pace: PaceLimit,
    /// The start of the current wait for the client, and the sum of the waits before.
    waiting: Option<Duration>,
    waited: Duration,
    deadline: Option<Deadline>,
    timer: CoarseTimer,
    progress: Rc<UploadProgress>,
}

/// The progress of an upload.
#[derive(Debug)]
pub struct UploadProgress {
    state: Cell<UploadState>,
    last_moved: Cell<Duration>,
}

impl UploadProgress {
    /// The state of the upload.
    pub fn state(&self) -> UploadState {
        self.state.get()
    }

    /// The [`boot_clock`] at which some of it was last passed on.
    pub fn last_moved(&self) -> Duration {
        self.last_moved.get()
    }
}

/// The state of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadState {
    /// The client ended it too early.
    #[error("the client aborted its request")]
    Broken,
    /// All of it was passed on.
    #[error("the request was sent")]
    Complete,
    /// It is longer than the limit.
    #[error("the request's body is too large")]
    TooLarge,
    /// The client fell silent, or sends it too slowly.
    #[error("the client stopped sending its request, or sends it too slowly")]
    Silent,
    /// Some of it is still to come.
    #[error("the request is being sent")]
    InProgress,
}

impl Upload {
    /// Passes on at most `limit` bytes, which must arrive at this pace.
    pub fn new(
        incoming: RequestBody,
        limit: u64,
        pace: PaceLimit,
        timer: &CoarseTimer,
    ) -> Self {
        // shared with the exchange, which waits as long as there is progress
        let progress = Rc::new(UploadProgress {
            state: Cell::new(UploadState::InProgress),
            last_moved: Cell::new(boot_clock()),
        });

        Self {
            size: incoming.remaining(),
            incoming,
            left: limit,
            came: 0,
            pace,
            waiting: None,
            waited: Duration::ZERO,
            deadline: None,
            timer: timer.clone(),
            progress,
        }
    }

    /// Returns a handle that shows the progress later.
    pub fn progress(&self) -> Rc<UploadProgress> {
        Rc::clone(&self.progress)
    }

    fn set_state(&self, state: UploadState) {
        self.progress.state.set(state);
        self.progress.last_moved.set(boot_clock());
    }

    fn end(&self, state: UploadState) -> Poll<Result<Option<Bytes>, UploadState>> {
        self.set_state(state);
        Poll::Ready(match state {
            UploadState::Complete => Ok(None),
            failed => Err(failed),
        })
    }
}

impl Upload {
    /// Returns the size of all of it in bytes, if the client has declared it.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Returns true if some of it was passed on.
    pub(super) fn has_begun(&self) -> bool {
        self.came > 0
    }

    /// Returns the next data; `None` at the end. Fails with the state of the upload.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, UploadState>> {
        let Poll::Ready(data) = self.incoming.poll_data(cx) else {
            let timer = &self.timer;
            let idle = self.pace.idle;
            self.waiting.get_or_insert_with(boot_clock);
            let deadline = self.deadline.get_or_insert_with(|| {
                let deadline = timer.deadline();
                deadline.arm(idle);
                deadline
            });
            ready!(deadline.poll_expired(cx));
            return self.end(UploadState::Silent);
        };

        self.deadline = None;
        // only time that the client takes, not the web server's
        if let Some(since) = self.waiting.take() {
            self.waited += boot_clock().saturating_sub(since);
        }

        let data = match data {
            Ok(None) => return self.end(UploadState::Complete),
            Err(_broken) => return self.end(UploadState::Broken),
            Ok(Some(data)) => data,
        };

        // the limits: size first, then pace
        match self.left.checked_sub(data.len() as u64) {
            Some(left) => self.left = left,
            None => return self.end(UploadState::TooLarge),
        }
        self.came += data.len() as u64;
        if !self.pace.is_kept(self.came, self.waited) {
            return self.end(UploadState::Silent);
        }

        self.set_state(if self.incoming.is_complete() {
            UploadState::Complete
        } else {
            UploadState::InProgress
        });
        Poll::Ready(Ok(Some(data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_origin_is_rewritten() {
        let verdict = |value| to_web_server(value, "http://localhost:8080", "h.example");
        assert_eq!(
            verdict("http://localhost:8080").unwrap(),
            "https://h.example"
        );
        assert_eq!(
            verdict("http://localhost:8080/home?x=1").unwrap(),
            "https://h.example/home?x=1"
        );
        for foreign in [
            "http://localhost:80801/",
            "http://localhost:8080.evil.example/",
            "https://localhost:8080/",
            "null",
        ] {
            assert_eq!(verdict(foreign), None, "{foreign}");
        }
    }
}
