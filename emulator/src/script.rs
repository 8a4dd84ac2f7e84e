//! Faults on demand. Every switch can be set while the emulator runs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::answers::{Answer, Answers};
use super::fault::{ControlFault, DeadForm, HandshakeFault, Noise, WebFault};
use super::settings::{FailureForm, LoginForm};

/// The faults of an emulator, and when they happen.
///
/// Each field is a [`Switch`]: with `script.mint_fault.next(2, ControlFault::Throttling)` the
/// next two calls fail, with `always` all do, and `off` ends it. A
/// delay ends when its switch is set again.
#[derive(Debug, Default)]
pub struct Script {
    /// How long each token call waits before its response. The token is issued before the wait.
    pub mint_delay: Switch<Duration>,
    /// The fault of token calls.
    pub mint_fault: Switch<ControlFault>,
    /// The fault of CreateCliToken only.
    pub cli_token_fault: Switch<ControlFault>,
    /// The fault of CreateWebLoginToken only.
    pub web_login_fault: Switch<ControlFault>,
    /// The `IamIdentity` that CreateWebLoginToken returns, instead of the caller.
    pub web_login_identity: Switch<String>,
    /// Refuses CreateWebLoginToken because the caller has no Airflow role.
    pub web_login_denied: Switch<()>,
    /// How long GetEnvironment, ListEnvironments and InvokeRestApi wait before their response.
    pub describe_delay: Switch<Duration>,
    /// The fault of GetEnvironment, ListEnvironments and InvokeRestApi.
    pub describe_fault: Switch<ControlFault>,
    /// The fault of GetEnvironment only.
    pub get_environment_fault: Switch<ControlFault>,
    /// The fault of ListEnvironments only.
    pub list_environments_fault: Switch<ControlFault>,
    /// The fault of InvokeRestApi only.
    pub rest_api_fault: Switch<ControlFault>,
    /// The fault of new TLS connections.
    pub handshake_fault: Switch<HandshakeFault>,
    /// The fault of web requests.
    pub web_fault: Switch<WebFault>,
    /// The fault of requests that send a command; `Slow` makes the command itself slow.
    pub command_fault: Switch<WebFault>,
    /// How long each login waits before its token is checked.
    pub login_delay: Switch<Duration>,
    /// The fault of logins only; faults of a command's output do nothing here.
    pub login_fault: Switch<WebFault>,
    /// The response of the login route, instead of [`Settings::login_form`](super::Settings).
    pub login_form: Switch<LoginForm>,
    /// A login succeeds, but sets no cookie.
    pub login_without_cookie: Switch<()>,
    /// Refuses a session although its login succeeded; counts requests.
    pub refuse_sessions: Switch<()>,
    /// How long a streamed log waits before each line but the first.
    pub stream_pause: Switch<Duration>,
    /// The response to a request without a session.
    pub dead_form: Switch<DeadForm>,
    /// Sets a new `_token` in a response of Airflow 3 to a session; the old one is refused from
    /// then on.
    pub reissue_token: Switch<()>,
    /// Responds with 401 instead of 403 when a token is refused.
    pub refuse_with_401: Switch<()>,
    /// How long a command waits before it begins.
    pub command_delay: Switch<Duration>,
    /// The response to failed commands, instead of [`Settings::failure_form`](super::Settings).
    pub failure_form: Switch<FailureForm>,
    /// What is added to the output of a command.
    pub noise: Switch<Noise>,
    /// Closes the connection after a response, without `Connection: close`.
    pub close_idle: Switch<()>,
    pub(crate) clock: Clock,
    answers: Mutex<Answers>,
    revocations: AtomicU64,
    kills: AtomicU64,
    cut_connections: watch::Sender<u64>,
}

impl Script {
    /// Refuses every token that was issued so far.
    pub fn revoke_tokens(&self) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends every session, as a restart with another secret does.
    pub fn kill_sessions(&self) {
        self.kills.fetch_add(1, Ordering::SeqCst);
    }

    /// Moves the emulator's clock forward. It dates tokens, sessions, signatures and `Date`
    /// headers. Returns false, and does nothing, beyond 100 years from the system's time.
    pub fn advance_clock(&self, by: Duration) -> bool {
        self.clock
            .shift_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
    }

    /// Moves the emulator's clock back, within the same limit.
    pub fn rewind_clock(&self, by: Duration) -> bool {
        self.clock
            .shift_ms(i64::try_from(by.as_millis()).map_or(i64::MIN, |ms| -ms))
    }

    /// Closes every open web connection, as a restart of the web server does.
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

    /// The fault and the delay of both token calls.
    pub(crate) fn of_tokens(&self) -> (&Switch<ControlFault>, &Switch<Duration>) {
        (&self.mint_fault, &self.mint_delay)
    }

    /// The fault and the delay of GetEnvironment, ListEnvironments and InvokeRestApi.
    pub(crate) fn of_descriptions(&self) -> (&Switch<ControlFault>, &Switch<Duration>) {
        (&self.describe_fault, &self.describe_delay)
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

/// A value that is off, on, or on for the next few uses.
#[derive(Debug)]
pub struct Switch<T> {
    /// The value, and for how many uses it is on; `None` until it is switched off.
    plan: Mutex<Option<(T, Option<usize>)>>,
    changes: watch::Sender<()>,
}

impl<T> Default for Switch<T> {
    fn default() -> Self {
        Self {
            plan: Mutex::new(None),
            changes: watch::Sender::default(),
        }
    }
}

impl<T: Clone> Switch<T> {
    /// On until [`off`](Self::off).
    pub fn always(&self, value: T) {
        self.set(value, None);
    }

    /// On for the next `times` uses, then off.
    pub fn next(&self, times: usize, value: T) {
        self.set(value, Some(times));
    }

    /// Off.
    pub fn off(&self) {
        *self.plan() = None;
        self.changes.send_replace(());
    }

    /// On for the next `times` uses, or until [`off`](Self::off).
    pub(crate) fn set(&self, value: T, times: Option<usize>) {
        *self.plan() = (times != Some(0)).then_some((value, times));
        self.changes.send_replace(());
    }

    /// The value for this use, if the switch is on.
    pub(crate) fn take(&self) -> Option<T> {
        self.take_if(|_| true)
    }

    /// Uses the switch once if its value fits.
    pub(crate) fn take_if(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut plan = self.plan();
        let (value, times) = plan.as_mut().filter(|(value, _)| fits(value))?;
        let value = value.clone();
        if let Some(times) = times {
            *times -= 1;
            if *times == 0 {
                *plan = None;
            }
        }
        Some(value)
    }

    /// Returns the value and how many uses are left, without using the switch.
    pub(crate) fn peek(&self) -> Option<(T, Option<usize>)> {
        self.plan().clone()
    }

    fn plan(&self) -> MutexGuard<'_, Option<(T, Option<usize>)>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switch<Duration> {
    /// Uses the switch once: the returned future waits for so long, or until the switch is set
    /// again.
    pub(crate) fn pause(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.changes.subscribe();
        let delay = self.take();
        async move {
            if let Some(delay) = delay {
                let _changed = tokio::time::timeout(delay, changes.changed()).await;
            }
        }
    }
}

/// The system's time plus an offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// The time as the emulator sees it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the emulator is an independent witness, so it may not ask the gateway's clock"
    )]
    pub(crate) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let offset = self.offset_ms.load(Ordering::SeqCst);
        let distance = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 {
            now - distance
        } else {
            now + distance
        }
    }

    /// The time since 1970.
    pub(crate) fn since_epoch(&self) -> Duration {
        self.now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }

    /// Moves the clock, forward or (negative) back. Returns false beyond the limit.
    fn shift_ms(&self, by: i64) -> bool {
        let fits = |offset: &i64| offset.unsigned_abs() <= CENTURY_MS;
        let shift = |offset: i64| offset.checked_add(by).filter(fits);
        let order = Ordering::SeqCst;
        self.offset_ms.fetch_update(order, order, shift).is_ok()
    }

    /// Sets the clock to the system's time.
    pub(crate) fn reset(&self) {
        self.offset_ms.store(0, Ordering::SeqCst);
    }
}

/// 100 years, far from the last year of the formats of dates.
const CENTURY_MS: u64 = 100 * 366 * 86_400_000;

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
