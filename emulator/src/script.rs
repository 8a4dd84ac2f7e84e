//! Misbehaviour on demand. Every switch can be turned while the emulator runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::answers::{Answer, Answers};
use super::clock::Clock;
use super::fault::{ControlFault, DeadForm, HandshakeFault, Noise, WebFault};
use super::settings::{FailureForm, LoginForm};

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
    /// What goes wrong with CreateCliToken only.
    pub cli_token_fault: Switch<ControlFault>,
    /// What goes wrong with CreateWebLoginToken only.
    pub web_login_fault: Switch<ControlFault>,
    /// Whom CreateWebLoginToken answers for, as `IamIdentity`, instead of the caller.
    pub web_login_identity: Switch<String>,
    /// Refuses CreateWebLoginToken for want of an Airflow role.
    pub web_login_denied: Switch<()>,
    /// How long GetEnvironment and ListEnvironments wait.
    pub describe_delay: Switch<Duration>,
    /// What goes wrong with GetEnvironment and ListEnvironments.
    pub describe_fault: Switch<ControlFault>,
    /// What goes wrong with GetEnvironment only.
    pub get_environment_fault: Switch<ControlFault>,
    /// What goes wrong with ListEnvironments only.
    pub list_environments_fault: Switch<ControlFault>,
    /// Puts `https://` before the `WebserverUrl` of GetEnvironment.
    pub webserver_url_scheme: Switch<()>,
    /// What goes wrong with new TLS connections.
    pub handshake_fault: Switch<HandshakeFault>,
    /// What goes wrong with web requests.
    pub web_fault: Switch<WebFault>,
    /// What goes wrong with requests that send a command.
    pub command_fault: Switch<WebFault>,
    /// How long each login waits before its token is looked at.
    pub login_delay: Switch<Duration>,
    /// What goes wrong with logins only; the kinds that spoil a command's answer do nothing.
    pub login_fault: Switch<WebFault>,
    /// What the login route answers with, instead of [`Settings::login_form`](super::Settings).
    pub login_form: Switch<LoginForm>,
    /// Lets a login succeed without any cookie.
    pub login_without_cookie: Switch<()>,
    /// Takes a session for none, although its login succeeded; counted by requests.
    pub refuse_sessions: Switch<()>,
    /// How long a streamed log waits before each line but the first.
    pub stream_pause: Switch<Duration>,
    /// How a request without a session is told so.
    pub dead_form: Switch<DeadForm>,
    /// Gives a new `_token` with an answer of Airflow 3 to somebody who is signed in; the old
    /// one is refused from then on.
    pub reissue_token: Switch<()>,
    /// Says 401 instead of 403 when a token is refused.
    pub refuse_with_401: Switch<()>,
    /// How long a command takes before it even begins.
    pub command_delay: Switch<Duration>,
    /// How failed commands are reported, instead of [`Settings::failure_form`](super::Settings).
    pub failure_form: Switch<FailureForm>,
    /// What is wrong with a command's output.
    pub noise: Switch<Noise>,
    /// Ends the connection right after an answer, with no `Connection: close` to announce it.
    pub close_idle: Switch<()>,
    pub(crate) clock: Clock,
    answers: Mutex<Answers>,
    revocations: AtomicU64,
    kills: AtomicU64,
    cut_connections: watch::Sender<u64>,
}

impl Script {
    /// Refuses every token issued so far, from now on.
    pub fn revoke_tokens(&self) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends every session that has begun so far, as a restart with another secret would.
    pub fn kill_sessions(&self) {
        self.kills.fetch_add(1, Ordering::SeqCst);
    }

    /// Moves the emulator's clock forward: the life of tokens and sessions, signature dates and
    /// `Date` headers.
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

    /// Answers the commands that begin with these words from now on, as in
    /// `script.answer("dags report", Answer::stdout("..."))`. The longest words that fit win.
    pub fn answer(&self, command: &str, answer: Answer) {
        self.lock_answers().set(command, answer);
    }

    pub(crate) fn find_answer(&self, words: &[String]) -> Option<Answer> {
        self.lock_answers().find(words).cloned()
    }

    fn lock_answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut_connections.subscribe()
    }

    pub(crate) fn kills(&self) -> u64 {
        self.kills.load(Ordering::SeqCst)
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

    /// Returns the value and how many uses are left, without using the switch.
    pub(crate) fn peek(&self) -> Option<(T, Option<usize>)> {
        match &*self.plan.lock().unwrap_or_else(PoisonError::into_inner) {
            Plan::Off => None,
            Plan::Next(times, value) => Some((value.clone(), Some(*times))),
            Plan::Always(value) => Some((value.clone(), None)),
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
