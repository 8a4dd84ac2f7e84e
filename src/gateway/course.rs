//! What becomes of one command, also when nobody waits for it any more.

use super::trail::Trail;
use crate::names::RequestId;
use crate::policy::Permitted;
use crate::queue::{Run, Standing};
use crate::reply::{Asked, Event};
use crate::runtime::LocalTasks;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// The course of one permitted command. It is filled on the way and shared by all that work on
/// it; when the last of them lets go, its end is known: see its `Drop`.
#[derive(Debug)]
pub(super) struct Course {
    id: RequestId,
    command: &'static str,
    moved: Cell<Option<Standing>>,
    run: RefCell<Option<Arc<Run>>>,
    repeated: Cell<bool>,
    end: RefCell<Option<End>>,
    trail: Trail,
    tasks: LocalTasks,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The web server answered with this status.
    Answered(u16),
    /// It failed on its way, with this fault's code and detail.
    Failed(&'static str, String),
}

impl Course {
    pub(super) fn of(permitted: &Permitted, trail: &Trail, tasks: &LocalTasks) -> Rc<Self> {
        Rc::new(Self {
            id: permitted.id(),
            command: permitted.name(),
            moved: Cell::new(None),
            run: RefCell::new(None),
            repeated: Cell::new(false),
            end: RefCell::new(None),
            trail: trail.clone(),
            tasks: tasks.clone(),
        })
    }

    /// It waits, and stands there now.
    pub(super) fn moved(&self, standing: Standing) {
        self.moved.set(Some(standing));
    }

    /// It has a slot.
    pub(super) fn seated(&self, run: &Arc<Run>) {
        *self.run.borrow_mut() = Some(Arc::clone(run));
        self.trail.seated();
    }

    /// Nobody knows what became of it, and it is written once more.
    pub(super) fn repeat(&self) {
        let (id, command) = (self.id, self.command);
        tracing::info!(%id, command, "its outcome is unknown, and it may be repeated: writing it once more");
        self.repeated.set(true);
    }

    /// The same with word of whether it was written twice.
    pub(super) fn repeats(&self, asked: Asked) -> Asked {
        Asked {
            repeated: self.repeated.get(),
            ..asked
        }
    }

    /// It has ended; the first word counts.
    pub(super) fn ended(&self, end: End) {
        self.end.borrow_mut().get_or_insert(end);
    }

    /// Whether some of it was written to the web server.
    pub(super) fn is_sent(&self) -> bool {
        self.run.borrow().as_ref().is_some_and(|run| run.is_sent())
    }

    /// What has happened that was not told yet.
    pub(super) fn news(course: &Rc<Self>) -> impl FnMut() -> Option<Event> + use<> {
        let (course, mut told) = (Rc::clone(course), false);
        move || {
            if told {
                return None;
            }
            let moved = course.moved.take();
            told = course.is_sent();
            match moved {
                // a place in line is no news to a command that runs
                Some(Standing { place, running }) if !told => {
                    Some(Event::Queued { place, running })
                }
                Some(_) | None => told.then_some(Event::Sent),
            }
        }
    }

    /// Watches over the time that somebody waits for the command.
    pub(super) fn audience(self: &Rc<Self>) -> Audience {
        Audience(Some(Rc::clone(self)))
    }
}

impl Drop for Course {
    /// The one place where the end of every permitted command is known, whoever is left to
    /// hear of it.
    fn drop(&mut self) {
        let (id, command) = (self.id, self.command);
        let alone = self
            .run
            .get_mut()
            .as_ref()
            .is_some_and(|run| run.is_abandoned());
        let sent = self.is_sent();
        match self.end.get_mut() {
            Some(End::Answered(status)) => self.trail.course(sent, Some(*status), None),
            Some(End::Failed(code, _)) => self.trail.course(sent, None, Some(code)),
            None => self.trail.course(sent, None, None),
        }
        match self.end.get_mut() {
            Some(End::Answered(status)) if alone => {
                tracing::info!(%id, command, status, "the client closed its connection before its command ended");
            }
            Some(End::Failed(code, detail)) if alone => {
                tracing::info!(%id, command, code, detail, "the client closed its connection before its command failed");
            }
            Some(End::Answered(status)) => tracing::debug!(%id, command, status, "answered"),
            // the refusal tells it
            Some(End::Failed(..)) => {}
            None if self.tasks.is_closed() => {
                tracing::info!(%id, command, sent, "the gateway stopped before the command ended");
            }
            None => {
                tracing::info!(%id, command, sent, "the client closed its connection before its command ran");
            }
        }
    }
}

/// Somebody waits for a command. Dropped before [`served`](Self::served), it notes that nobody
/// does any more.
#[derive(Debug)]
pub(super) struct Audience(Option<Rc<Course>>);

impl Audience {
    pub(super) fn served(mut self) {
        self.0 = None;
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        if let Some(course) = &self.0
            && let Some(run) = &*course.run.borrow()
        {
            run.abandon();
        }
    }
}
