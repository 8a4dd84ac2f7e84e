//! The kinds of misbehaviour a script can ask for.

use std::time::Duration;

/// What can go wrong with a call to the AWS side.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlFault {
    /// 403 `AccessDeniedException` that names principal, action and resource.
    AccessDenied,
    /// 429 `{"message":"Too Many Requests"}` without an error type, as API Gateway says it.
    BareTooManyRequests,
    /// The connection ends without an answer.
    Drop,
    /// 200 with an empty token and host.
    EmptyToken,
    /// This status, code and message.
    Error(u16, &'static str, String),
    /// 403 `ExpiredTokenException`: the caller's session has run out.
    ExpiredToken,
    /// 200 with another `WebServerHostname`.
    ForeignHost(String),
    /// 200 with a body that is not JSON.
    GarbageJson,
    /// No answer, ever.
    Hang,
    /// 200 with a token that holds a line break.
    HostileToken,
    /// 503 with an HTML page.
    HtmlServiceUnavailable,
    /// 500 whose message has this many bytes.
    HugeError(usize),
    /// 500 `InternalServerException`.
    InternalServer,
    /// 404 `ResourceNotFoundException`.
    NotFound,
    /// A good answer, after this time; a token has aged by then.
    Slow(Duration),
    /// 400 `ThrottlingException`.
    Throttling,
    /// 429 `TooManyRequestsException`.
    TooManyRequests,
    /// 400 `ValidationException`.
    Validation,
}

/// What can go wrong before the first request on a web connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// Closes the connection as soon as it is there.
    Close,
    /// Never answers the client's hello.
    Hang,
}

/// How the former host of an environment that was deleted and recreated behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormerHost {
    /// It closes a connection once a request has arrived.
    Broken,
    /// There is no web server: a connection closes during the TLS handshake.
    Gone,
    /// The new owner of the address answers everything with this status.
    Status(u16),
}

/// What can go wrong with a request to the web server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebFault {
    /// Runs the command, answers JSON whose values are not base64.
    BadBase64,
    /// Runs the command, then ends the connection inside the announced body.
    CutBody,
    /// Reads the request, runs nothing and ends the connection.
    Drop,
    /// Reads the request, then never answers.
    Hang,
    /// Runs the command, then answers with a page instead of JSON.
    NotJson,
    /// Reads the request, then sends these bytes instead of an answer and closes.
    Raw(Vec<u8>),
    /// Reads the request, runs nothing and resets the connection.
    Reset,
    /// Runs the command, then resets the connection.
    ResetAfterExecution,
    /// Serves the request after this time.
    Slow(Duration),
    /// Answers with this before anything else is looked at.
    Status {
        /// The status code.
        status: u16,
        /// The `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
}

impl WebFault {
    /// An answer that is not HTTP at all.
    pub fn garbage_head() -> Self {
        Self::Raw(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec())
    }

    /// An HTML error page, as the load balancer in front of the web server makes them.
    pub fn html(status: u16) -> Self {
        Self::Status {
            status,
            content_type: "text/html".to_owned(),
            body: format!("<html><head><title>{status}</title></head><body></body></html>\n"),
        }
    }
}

/// What can be wrong with the output of a command that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Noise {
    /// Colour codes around each line of stdout.
    Ansi,
    /// Both streams empty.
    Empty,
    /// This many bytes more on stdout.
    Huge(usize),
    /// A warning on stderr although the command worked.
    Stderr,
    /// Warning lines before the real stdout.
    Warnings,
}

/// How Airflow may say that a request has no session. Unscripted, each version says it in its
/// own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadForm {
    /// 401 with JSON, on pages too.
    Unauthorized,
    /// 403, as JSON to the REST API and as a page otherwise.
    Forbidden,
    /// 302 to Airflow's login page, from the REST API too.
    LoginPage,
    /// 302 to AWS, where a person signs in.
    AwsSignIn,
}
