//! Stays with a command until it has ended, or until the person has enough.

use crate::cli::client::{Answer, Ask, Client, Form, Lost, Step};
use crate::cli::signals::Signals;
use crate::policy::Command;
use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, Sleep, interval, sleep};

/// How a command was left, or ended.
#[derive(Debug)]
pub(super) enum Attended {
    /// It ended, or the gateway did; a signal that came just before has closed the connection.
    Ended(Result<Answer, Lost>, Option<u8>),
    /// A signal came first.
    Left(Left),
}

/// What is known of a command that was left.
#[derive(Debug)]
pub(super) struct Left {
    /// The signal's number.
    pub(super) signal: u8,
    /// Whether it was sent to the web server; `None` if that can't be told.
    pub(super) sent: Option<bool>,
    /// The gateway's name for the request.
    pub(super) request_id: Option<String>,
}

impl Left {
    /// The signal came before the command was handed over.
    pub(super) const fn before(signal: u8) -> Self {
        Self {
            signal,
            sent: Some(false),
            request_id: None,
        }
    }
}

/// Who is shown how a command goes.
pub(super) trait Watch {
    /// Takes note of a step.
    fn step(&mut self, step: Step);
    /// Shows where the command stands; called a few times a second.
    fn tick(&mut self);
}

/// Runs the command and shows how it goes. The first signal hangs up, and waits for the little
/// that the gateway then takes to say whether the command had been sent; the second does not.
pub(super) async fn attend(
    client: &mut Client,
    command: &Command,
    ask: impl Into<Ask>,
    signals: &mut Signals,
    waiting: &mut impl Watch,
) -> Attended {
    let ask: Ask = ask.into();
    let hang_up = client.hang_up();
    let (request_id, steps) = (RefCell::new(None), RefCell::new(Vec::new()));
    let mut told = |step: Step| match step {
        Step::Taken(id) => drop(request_id.borrow_mut().replace(id)),
        step => steps.borrow_mut().push(step),
    };
    let mut running = pin!(client.run(command, ask, &mut told));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = false;
    let mut signal = None;
    let (number, certain) = loop {
        let ended = tokio::select! {
            biased;
            number = signals.next() => match signal {
                None => {
                    hang_up.now();
                    signal = Some((number, Box::pin(sleep(LAST_WORDS))));
                    continue;
                }
                Some((first, _)) => break (first, false),
            },
            ended = running.as_mut() => ended,
            number = over(&mut signal) => break (number, false),
            _ = ticks.tick() => {
                for step in steps.take() {
                    sent |= step == Step::Sent;
                    waiting.step(step);
                }
                waiting.tick();
                continue;
            }
        };
        match (signal.map(|(number, _)| number), ended) {
            (Some(number), Err(_hung_up)) => break (number, ask.form == Form::Full),
            (signal, ended) => return Attended::Ended(ended, signal),
        }
    };
    sent |= steps.borrow().contains(&Step::Sent);
    Attended::Left(Left {
        signal: number,
        sent: if sent {
            Some(true)
        } else {
            certain.then_some(false)
        },
        request_id: request_id.take(),
    })
}

/// Waits until the gateway has had its time since the first signal, and gives that signal.
async fn over(signal: &mut Option<(u8, Pin<Box<Sleep>>)>) -> u8 {
    match signal {
        Some((number, ending)) => {
            ending.await;
            *number
        }
        None => std::future::pending().await,
    }
}

/// How often the terminal is looked after.
const TICK: Duration = Duration::from_millis(100);
/// A gateway that was hung up on ends the connection at once.
const LAST_WORDS: Duration = Duration::from_secs(1);
