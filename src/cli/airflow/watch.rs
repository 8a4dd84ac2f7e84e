//! Runs a command until it ends or a signal comes, and shows its progress.

use crate::client::{
    CommandError, CommandEvent, CommandOptions, CommandResult, GatewayClient, ResultFormat,
};
use crate::signals::Signals;
use crate::terminal::{StderrMode, Terminal};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mwaa_policy::Command;
use mwaa_runtime::Timestamp;
use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, Sleep, interval, sleep};

/// A command had no result.
#[derive(Debug)]
pub(super) enum WatchError {
    /// The gateway went away.
    Command(CommandError),
    /// A signal came first.
    Interrupted(InterruptInfo),
}

/// A command that a signal interrupted.
#[derive(Debug)]
pub(super) struct InterruptInfo {
    /// The signal's number.
    pub(super) signal: u8,
    /// True if it was sent to the web server; `None` means that this is not known.
    pub(super) sent: Option<bool>,
    /// The gateway's name for the request.
    pub(super) request_id: Option<String>,
}

impl InterruptInfo {
    /// Creates that of a command that was not handed over.
    pub(super) const fn before_command(signal: u8) -> Self {
        Self {
            signal,
            sent: Some(false),
            request_id: None,
        }
    }
}

/// Shows the progress of a command.
pub(super) trait EventHandler {
    /// Remembers an event.
    fn on_event(&mut self, event: CommandEvent);
    /// Draws the progress; called several times a second.
    fn update(&mut self);
}

/// Runs the command and shows its progress. The first signal cancels the command, and waits for the
/// short time that the gateway then takes to say if it had been sent; the second signal does not. A
/// signal that came while the command ended is in `pending`: it has closed the connection.
pub(super) async fn run_watched(
    client: &mut GatewayClient,
    command: &Command<'_>,
    options: CommandOptions,
    signals: &mut Signals,
    handler: &mut impl EventHandler,
    pending: &mut Option<u8>,
) -> Result<CommandResult, WatchError> {
    // the client is borrowed while the command runs
    let cancel = client.cancel_handle();
    let log = EventLog::default();
    let mut on_event = |event| log.add(event);
    let mut running = pin!(client.run(command, options, &mut on_event));

    // a tick that came late must not be followed by several at once
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let mut signal = None;
    let (number, is_certain) = loop {
        let ended = tokio::select! {
            // a signal counts also if the command ends at the same moment
            biased;
            number = signals.next() => match signal {
                None => {
                    cancel.cancel();
                    signal = Some((number, Box::pin(sleep(CANCEL_TIMEOUT))));
                    continue;
                }
                Some((first, _)) => break (first, false),
            },
            ended = running.as_mut() => ended,
            number = wait_cancelled(&mut signal) => break (number, false),
            _ = ticks.tick() => {
                for event in log.new_events.take() {
                    handler.on_event(event);
                }
                handler.update();
                continue;
            }
        };

        let number = signal.map(|(number, _)| number);
        match (number, ended) {
            // only a stream of events says when the command is sent
            (Some(number), Err(_cancelled)) => {
                break (number, options.format != ResultFormat::Raw);
            }
            (number, ended) => {
                *pending = number;
                return ended.map_err(WatchError::Command);
            }
        }
    };

    Err(WatchError::Interrupted(log.interrupt(number, is_certain)))
}

/// The events of a command: written while it runs, and read between its polls.
#[derive(Default)]
struct EventLog {
    request_id: RefCell<Option<String>>,
    is_sent: Cell<bool>,
    /// The events that are not drawn yet.
    new_events: RefCell<Vec<CommandEvent>>,
}

impl EventLog {
    fn add(&self, event: CommandEvent) {
        match &event {
            CommandEvent::Accepted(id) => drop(self.request_id.replace(Some(id.clone()))),
            CommandEvent::Queued(_) => {}
            CommandEvent::Sent => self.is_sent.set(true),
        }
        self.new_events.borrow_mut().push(event);
    }

    /// Returns the state at a signal. `is_certain` says that a command that was not seen to be sent
    /// was not sent.
    fn interrupt(&self, signal: u8, is_certain: bool) -> InterruptInfo {
        let is_sent = self.is_sent.get();
        InterruptInfo {
            signal,
            sent: (is_sent || is_certain).then_some(is_sent),
            request_id: self.request_id.take(),
        }
    }
}

/// Waits until the gateway has had its time since the first signal, and returns that signal.
async fn wait_cancelled(signal: &mut Option<(u8, Pin<Box<Sleep>>)>) -> u8 {
    match signal {
        Some((number, timeout)) => {
            timeout.await;
            *number
        }
        None => std::future::pending().await,
    }
}

/// A line on the terminal about a command that takes its time. It is cleared before anything else
/// is
/// printed.
pub(super) struct StatusLine<'a> {
    terminal: &'a Terminal,
    command: String,
    started: Timestamp,
    event: Option<CommandEvent>,
    state: LineState,
}

enum LineState {
    /// No person sees it.
    Off,
    /// The command may still end at once.
    Waiting(StderrMode),
    /// It is drawn anew.
    Live(ProgressBar),
    /// Each text is a line of its own: the last one.
    Plain(String),
}

impl<'a> StatusLine<'a> {
    pub(super) fn new(
        command: &Command<'_>,
        environment: Option<&str>,
        terminal: &'a Terminal,
    ) -> Self {
        let name = command.known_name().unwrap_or("the command");
        let command = environment.map_or_else(
            || name.to_owned(),
            |environment| format!("{name} on {environment}"),
        );

        let state = match terminal.stderr_mode() {
            StderrMode::Piped => LineState::Off,
            mode @ (StderrMode::Plain | StderrMode::Live) => LineState::Waiting(mode),
        };
        Self {
            terminal,
            command,
            started: Timestamp::now(),
            event: None,
            state,
        }
    }

    fn text(&self) -> String {
        let command = &self.command;
        match self.event {
            None | Some(CommandEvent::Accepted(_)) => format!("preparing {command}"),
            Some(CommandEvent::Queued(0 | 1)) => {
                format!("{command} is next in the queue")
            }
            Some(CommandEvent::Queued(place)) => {
                format!("{command} is waiting in the queue, {} before it", place - 1)
            }
            Some(CommandEvent::Sent) => format!("running {command}"),
        }
    }
}

impl EventHandler for StatusLine<'_> {
    fn on_event(&mut self, event: CommandEvent) {
        self.event = Some(event);
    }

    fn update(&mut self) {
        let age = self.started.age(Timestamp::now());
        if let LineState::Waiting(mode) = self.state
            && age >= LINE_DELAY
        {
            self.state = match mode {
                StderrMode::Live => {
                    let target = ProgressDrawTarget::stderr();
                    LineState::Live(build_bar(None, target, "{spinner} {wide_msg}"))
                }
                StderrMode::Plain | StderrMode::Piped => LineState::Plain(String::new()),
            };
        }

        let text = self.text();
        match &mut self.state {
            LineState::Off | LineState::Waiting(_) => {}
            LineState::Live(bar) => {
                bar.set_message(format!("{text} · {} s", age.as_secs()));
                bar.tick();
            }
            LineState::Plain(last) if *last == text => {}
            LineState::Plain(last) => {
                self.terminal.info(&text);
                *last = text;
            }
        }
    }
}

impl Drop for StatusLine<'_> {
    fn drop(&mut self) {
        if let LineState::Live(bar) = &self.state {
            bar.finish_and_clear();
        }
    }
}

/// The bar of an import; hidden where no person sees it move.
pub(super) struct ImportProgress(ProgressBar);

impl ImportProgress {
    pub(super) fn new(kind: &'static str, total: usize, terminal: &Terminal) -> Self {
        let target = match terminal.stderr_mode() {
            StderrMode::Live => ProgressDrawTarget::stderr(),
            StderrMode::Piped | StderrMode::Plain => ProgressDrawTarget::hidden(),
        };
        let template = "{prefix} {wide_bar} {pos}/{len} · {elapsed} {msg}";
        let bar = build_bar(Some(total as u64), target, template);
        bar.set_prefix(kind);
        Self(bar)
    }

    /// Sets the number of entries that are behind.
    pub(super) fn set_position(&self, count: usize) {
        self.0.set_position(count as u64);
    }

    /// Takes the bar off the terminal.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl EventHandler for ImportProgress {
    fn on_event(&mut self, event: CommandEvent) {
        self.0.set_message(match event {
            CommandEvent::Queued(0 | 1) => "next in the queue".to_owned(),
            CommandEvent::Queued(place) => {
                format!("{} before it in the queue", place - 1)
            }
            CommandEvent::Sent | CommandEvent::Accepted(_) => String::new(),
        });
    }

    fn update(&mut self) {
        self.0.tick();
    }
}

fn build_bar(total: Option<u64>, target: ProgressDrawTarget, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_invalid| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(total, target).with_style(style)
}

/// The time between two updates of the terminal.
const TICK: Duration = Duration::from_millis(100);
/// A gateway that runs ends the connection at once when a command is cancelled.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);
/// Commands that end before this show nothing.
const LINE_DELAY: Duration = Duration::from_millis(500);
