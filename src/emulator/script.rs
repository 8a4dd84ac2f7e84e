//! Misbehaviour on demand. Every switch can be turned while the emulator runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::clock::Clock;

/// What the emulator does wrong, and when.
///
/// Each field is a [`Switch`]: `script.control_fault.next(2, ControlFault::Throttling)` spoils
/// the next two calls, `always` spoils all, `off` ends it.
#[derive(Debug, Default)]
pub struct Script {
    /// How long each token call waits before it is answered. The token's life has begun then.
    pub mint_delay: Switch<Duration>,
    /// What goes wrong with token calls.
    pub mint_fault: Switch<ControlFault>,
    /// Refuses CreateWebLoginToken for want of an Airflow role.
    pub web_login_denied: Switch<()>,
    /// How long GetEnvironment and ListEnvironments wait.
    pub describe_delay: Switch<Duration>,
    /// What goes wrong with GetEnvironment and ListEnvironments.
    pub describe_fault: Switch<ControlFault>,
    /// Puts `https://` before the `WebserverUrl` of GetEnvironment.
    pub webserver_url_scheme: Switch<()>,
    /// What goes wrong with new TLS connections.
    pub handshake_fault: Switch<HandshakeFault>,
    /// What goes wrong with web requests.
    pub web_fault: Switch<WebFault>,
    /// Says 401 instead of 403 when a token is refused.
    pub refuse_with_401: Switch<()>,
    /// How long a command takes before it even begins.
    pub command_delay: Switch<Duration>,
    /// What is wrong with a command's output.
    pub noise: Switch<Noise>,
    /// Ends the connection right after an answer, with no `Connection: close` to announce it.
    pub close_idle: Switch<()>,
    pub(crate) clock: Clock,
    revocations: AtomicU64,
    cut_connections: watch::Sender<u64>,
}

impl Script {
    /// Refuses every token issued so far, from now on.
    pub fn revoke_tokens(&self) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
    }

    /// Moves the emulator's clock forward: token life, signature dates and `Date` headers.
    pub fn advance_clock(&self, by: Duration) {
        self.clock
            .shift_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves the emulator's clock back.
    pub fn rewind_clock(&self, by: Duration) {
        self.clock
            .shift_ms(i64::try_from(by.as_millis()).map_or(i64::MIN, |ms| -ms));
    }

    /// Ends every open web connection at once, as a restart of the web server would.
    pub fn cut_web_connections(&self) {
        self.cut_connections.send_modify(|count| *count += 1);
    }

    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut_connections.subscribe()
    }

    pub(crate) fn revocations(&self) -> u64 {
        self.revocations.load(Ordering::SeqCst)
    }
}

/// Something that is off, on, or on for the next few times.
pub struct Switch<T> {
    plan: Mutex<Plan<T>>,
}

enum Plan<T> {
    Off,
    Next(usize, T),
    Always(T),
}

impl<T: Clone> Switch<T> {
    /// On until turned off.
    pub fn always(&self, value: T) {
        self.set(Plan::Always(value));
    }

    /// On for the next `times` uses, then off.
    pub fn next(&self, times: usize, value: T) {
        self.set(if times == 0 {
            Plan::Off
        } else {
            Plan::Next(times, value)
        });
    }

    /// Off.
    pub fn off(&self) {
        self.set(Plan::Off);
    }

    /// Uses the switch once.
    pub(crate) fn take(&self) -> Option<T> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *plan, Plan::Off) {
            Plan::Off => None,
            Plan::Next(times, value) => {
                if times > 1 {
                    *plan = Plan::Next(times - 1, value.clone());
                }
                Some(value)
            }
            Plan::Always(value) => {
                *plan = Plan::Always(value.clone());
                Some(value)
            }
        }
    }

    fn set(&self, plan: Plan<T>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

impl<T> Default for Switch<T> {
    fn default() -> Self {
        Self {
            plan: Mutex::new(Plan::Off),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Switch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.plan.lock().unwrap_or_else(PoisonError::into_inner) {
            Plan::Off => f.write_str("Off"),
            Plan::Next(times, value) => {
                f.debug_tuple("Next").field(times).field(value).finish()
            }
            Plan::Always(value) => f.debug_tuple("Always").field(value).finish(),
        }
    }
}

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
    /// 400 `ThrottlingException`.
    Throttling,
    /// 429 `TooManyRequestsException`.
    TooManyRequests,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_counts_down() {
        let switch = Switch::default();
        assert_eq!(switch.take(), None);
        switch.next(2, 'x');
        assert_eq!(
            [switch.take(), switch.take(), switch.take()],
            [Some('x'), Some('x'), None]
        );
        switch.always('y');
        assert_eq!([switch.take(), switch.take()], [Some('y'), Some('y')]);
        switch.off();
        assert_eq!(switch.take(), None);
    }
}
