//! The verdicts about heads that come again and again. A verdict depends on nothing but the head, the
//! connection's kind and the settings, so it is the same each time.

use super::Verdict;
use mwaa_http1::RequestHead;
use mwaa_model::PeerAddress;
use mwaa_server::IncomingRequest;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// The verdicts of one worker thread about heads that the server has recognised
/// ([`IncomingRequest::is_repeated`]), by one set of settings.
#[derive(Default)]
pub struct AdmissionMemory(RefCell<Memory>);

#[derive(Default)]
struct Memory {
    verdicts: Vec<KnownVerdict>,
    /// The verdict that is replaced next.
    oldest: usize,
}

struct KnownVerdict {
    head: Rc<RequestHead>,
    is_unix: bool,
    secure: bool,
    verdict: Rc<Verdict>,
}

impl fmt::Debug for AdmissionMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionMemory").finish_non_exhaustive()
    }
}

impl AdmissionMemory {
    /// Returns the verdict about the head of this request, if it is known.
    pub(super) fn find(&self, incoming: &IncomingRequest) -> Option<Rc<Verdict>> {
        if !incoming.is_repeated {
            return None;
        }
        let memory = self.0.borrow();
        let mut verdicts = memory.verdicts.iter();
        let known = verdicts.find(|known| {
            Rc::ptr_eq(&known.head, &incoming.head)
                && known.is_unix == (incoming.client.peer == PeerAddress::Unix)
                && known.secure == incoming.secure
        })?;
        Some(Rc::clone(&known.verdict))
    }

    /// Keeps the verdict about the head of this request, in place of the oldest one.
    pub(super) fn keep(&self, incoming: &IncomingRequest, verdict: &Rc<Verdict>) {
        let known = KnownVerdict {
            head: Rc::clone(&incoming.head),
            is_unix: incoming.client.peer == PeerAddress::Unix,
            secure: incoming.secure,
            verdict: Rc::clone(verdict),
        };
        let mut memory = self.0.borrow_mut();
        let oldest = memory.oldest;
        match memory.verdicts.get_mut(oldest) {
            Some(oldest) => *oldest = known,
            None => memory.verdicts.push(known),
        }
        memory.oldest = (oldest + 1) % MAX_VERDICTS;
    }
}

/// The most verdicts that are kept.
const MAX_VERDICTS: usize = 4;
