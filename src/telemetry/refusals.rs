//! The last refusals, for people: what was asked, what was wrong, and the request's name. A
//! bounded memory; its lock is taken by refusals and by those who look, never by what works.

use crate::names::{Code, EnvName, RequestId};
use crate::runtime::Moment;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// One request that the gateway answered with a fault of its own. It holds no header, no query
/// and no body, and so neither a credential nor a command's arguments.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// When.
    pub at: Moment,
    /// The fault's code.
    pub code: &'static Code,
    /// The environment that it was for, where that was known.
    pub environment: Option<EnvName>,
    /// The request method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The fault's own words.
    pub detail: String,
    /// The request's name.
    pub id: RequestId,
}

/// The last [`REMEMBERED`](Refusals::REMEMBERED) refusals.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<VecDeque<Refusal>>);

impl Refusals {
    /// How many are remembered.
    pub const REMEMBERED: usize = 50;

    /// Remembers one; the oldest is forgotten. Clients choose names and paths, so long ones are
    /// cut: the method to 20 characters, the path to 200, the detail to 300.
    pub fn note(&self, refusal: Refusal) {
        let refusal = Refusal {
            method: cut(refusal.method, 20),
            path: cut(refusal.path, 200),
            detail: cut(refusal.detail, 300),
            ..refusal
        };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.truncate(Self::REMEMBERED - 1);
        last.push_front(refusal);
    }

    /// What is remembered, newest first.
    pub fn last(&self) -> Vec<Refusal> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().cloned().collect()
    }
}

/// At most so many characters; an ellipsis stands for the rest.
fn cut(mut text: String, limit: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(limit) {
        text.truncate(at);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::code;

    fn refusal(path: &str) -> Refusal {
        Refusal {
            at: Moment::now(),
            code: &code::NO_ROUTE,
            environment: None,
            method: "GET".to_owned(),
            path: path.to_owned(),
            detail: "é".repeat(1000),
            id: RequestId::next(),
        }
    }

    #[test]
    fn the_memory_is_bounded_and_newest_first() {
        let refusals = Refusals::default();
        for number in 0..200 {
            refusals.note(refusal(&format!("/{number}")));
        }
        let last = refusals.last();
        assert_eq!(last.len(), Refusals::REMEMBERED);
        assert_eq!(last[0].path, "/199");
        assert_eq!(last[49].path, "/150");
        assert_eq!(last[0].detail.chars().count(), 301);
        refusals.note(refusal(&"x".repeat(200)));
        assert_eq!(refusals.last()[0].path, "x".repeat(200), "just fits");
    }
}
