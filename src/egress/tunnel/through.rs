//! A connection's part of a tunnel: what it needs to live, and whether anything came of it.

use super::error::Trouble;
use super::keep::STABLE;
use super::pipes::Program;
use super::process::Running;
use super::{LAST_WORDS, Tunnel, TunnelError};
use crate::runtime::{Moment, Timer};
use std::sync::Arc;

/// A connection's part of a tunnel. It keeps the program alive.
#[derive(Debug)]
pub struct Through {
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) by: By,
}

#[derive(Debug)]
pub(super) enum By {
    /// The run that all connections share.
    Running(Arc<Running>),
    /// A program of its own.
    Program(Arc<Program>),
}

impl Through {
    /// The web server has answered.
    pub fn worked(&self) {
        if let By::Running(running) = &self.by {
            running.worked();
        }
    }

    /// Nothing came of the connection: what to say, with the program's last words. A run that
    /// several connections gave nothing through is replaced.
    pub async fn broke(&self, how: &str, timer: &impl Timer) -> TunnelError {
        let words = match &self.by {
            By::Running(running) => &running.words,
            By::Program(program) => &program.words,
        };
        // what it says of a connection may come a moment after it has closed it
        let _said = timer.within(LAST_WORDS, words.next()).await;
        let said = words.last();
        let trouble = match (&self.by, said) {
            (By::Program(program), Some(said)) if program.is_missing() => {
                Trouble::NotStarted(said)
            }
            (_, said) => Trouble::Broke(how.to_owned(), said),
        };
        // where nothing behind it answers, another run is no better: not more often than this
        if let By::Running(running) = &self.by
            && running.failed()
            && running.since.age(Moment::now()) >= STABLE
        {
            self.tunnel.abandon(running);
        }
        self.tunnel.error(trouble, None)
    }
}
