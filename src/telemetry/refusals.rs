//! The last refused requests, for people. The list is bounded, and requests that succeed never take
//! its lock.

use mwaa_model::{Code, EnvName, RequestId};
use mwaa_runtime::Timestamp;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// One request to which the gateway responded with a fault of its own. It has no header, no query
/// and no body, and so neither a credential nor a command's arguments.
#[derive(Debug, Clone)]
pub struct RefusedRequest {
    /// The time of the refusal.
    pub at: Timestamp,
    /// The fault's code.
    pub code: &'static Code,
    /// The requested environment, if it was known.
    pub environment: Option<EnvName>,
    /// The request method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The fault's detail.
    pub detail: String,
    /// The request's id.
    pub id: RequestId,
}

/// The last [`MAX_LEN`](RecentRefusals::MAX_LEN) refused requests.
#[derive(Debug, Default)]
pub struct RecentRefusals(Mutex<VecDeque<RefusedRequest>>);

impl RecentRefusals {
    /// The number of requests that are kept.
    pub const MAX_LEN: usize = 50;

    /// Adds a request, in place of the oldest. Clients choose names and paths, so long ones are cut:
    /// the method to 20 characters, the path to 200, the detail to 300.
    pub fn push(&self, refusal: RefusedRequest) {
        // before the lock
        let refusal = RefusedRequest {
            method: cut(refusal.method, 20),
            path: cut(refusal.path, 200),
            detail: cut(refusal.detail, 300),
            ..refusal
        };

        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // room for the new one
        last.truncate(Self::MAX_LEN - 1);
        last.push_front(refusal);
    }

    /// Returns the requests, newest first.
    pub fn list(&self) -> Vec<RefusedRequest> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().cloned().collect()
    }
}

/// Cuts the text to `limit` characters, with an ellipsis for the rest.
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
    use mwaa_model::code;

    fn refusal(path: &str) -> RefusedRequest {
        RefusedRequest {
            at: Timestamp::now(),
            code: &code::NO_ROUTE,
            environment: None,
            method: "GET".to_owned(),
            path: path.to_owned(),
            detail: "é".repeat(1000),
            id: RequestId::next(),
        }
    }

    #[test]
    fn the_list_is_bounded_and_newest_first() {
        let refusals = RecentRefusals::default();
        for number in 0..200 {
            refusals.push(refusal(&format!("/{number}")));
        }
        let last = refusals.list();
        assert_eq!(last.len(), RecentRefusals::MAX_LEN);
        assert_eq!(last[0].path, "/199");
        assert_eq!(last[49].path, "/150");
        assert_eq!(last[0].detail.chars().count(), 301);
        refusals.push(refusal(&"x".repeat(200)));
        assert_eq!(refusals.list()[0].path, "x".repeat(200), "just fits");
    }
}
