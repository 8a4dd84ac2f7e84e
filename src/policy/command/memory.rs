//! The commands that were allowed lately. A script that polls sends the same command each time, and the
//! check gives the same result each time: it is pure.
//!
//! Only short commands are kept that read and show no secret, so that no secret of a client is.

use super::check::AllowedCommand;
use super::permit::CommandPermit;
use mwaa_model::{AirflowVersion, Entry, ListenerPolicy};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// The commands of one worker thread.
#[derive(Default)]
pub struct CommandMemory(RefCell<Memory>);

#[derive(Default)]
struct Memory {
    commands: Vec<Rc<KnownCommand>>,
    /// The command that is replaced next.
    oldest: usize,
}

/// A command that was allowed, and all that it was allowed by.
pub struct KnownCommand {
    body: Vec<u8>,
    /// They hold the rules, and are kept so that no others can be at their addresses.
    entry: Arc<Entry>,
    listener: Rc<ListenerPolicy>,
    version: AirflowVersion,
    allowed: Arc<AllowedCommand>,
    wants_json: bool,
}

impl fmt::Debug for CommandMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandMemory").finish_non_exhaustive()
    }
}

impl fmt::Debug for KnownCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KnownCommand").field(&self.allowed).finish()
    }
}

impl CommandMemory {
    /// Returns the command that this body is, if it was allowed before by the rules of this environment
    /// and of this listener.
    pub fn find(
        &self,
        body: &[u8],
        entry: &Arc<Entry>,
        listener: &Rc<ListenerPolicy>,
    ) -> Option<Rc<KnownCommand>> {
        let memory = self.0.borrow();
        let mut commands = memory.commands.iter();
        let known = commands.find(|known| {
            known.body == body
                && Arc::ptr_eq(&known.entry, entry)
                && Rc::ptr_eq(&known.listener, listener)
        })?;
        Some(Rc::clone(known))
    }

    /// Keeps the command that this body is, in place of the oldest one, if it may be kept.
    pub fn keep(
        &self,
        body: &[u8],
        permit: &CommandPermit,
        listener: &Rc<ListenerPolicy>,
        version: AirflowVersion,
    ) {
        if body.len() > MAX_SIZE || !permit.allowed.reads_only() || permit.may_repeat() {
            return;
        }
        let known = Rc::new(KnownCommand {
            body: body.to_vec(),
            entry: Arc::clone(permit.entry()),
            listener: Rc::clone(listener),
            version,
            allowed: Arc::clone(&permit.allowed),
            wants_json: permit.wants_json(),
        });

        let mut memory = self.0.borrow_mut();
        let oldest = memory.oldest;
        match memory.commands.get_mut(oldest) {
            Some(oldest) => *oldest = known,
            None => memory.commands.push(known),
        }
        memory.oldest = (oldest + 1) % MAX_COMMANDS;
    }
}

impl KnownCommand {
    /// Returns the permit that the same check would give again. `None` at another version.
    pub fn permit(&self, version: AirflowVersion) -> Option<CommandPermit> {
        (version == self.version).then(|| CommandPermit {
            entry: Arc::clone(&self.entry),
            allowed: Arc::clone(&self.allowed),
            wants_json: self.wants_json,
            may_repeat: false,
        })
    }
}

/// The longest command that is kept, in bytes.
const MAX_SIZE: usize = 256;
/// The most commands that are kept.
const MAX_COMMANDS: usize = 8;
