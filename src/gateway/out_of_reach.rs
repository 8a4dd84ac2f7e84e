//! A web server that can't be reached, explained by what AWS says of its environment.

use super::{Corridor, Refused};
use crate::names::{Blame, Code, Entry, Fault, code};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A fault of the web server with AWS's explanation of it.
#[derive(Debug)]
struct Explained {
    fault: Refused,
    why: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for Explained {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

impl Fault for Explained {
    fn code(&self) -> &'static Code {
        self.fault.code()
    }

    fn hint(&self) -> Cow<'static, str> {
        format!("{}; {}", self.why, self.fault.hint()).into()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.fault.retry_after()
    }

    fn allow(&self) -> Option<&'static str> {
        self.fault.allow()
    }

    fn ends_connection(&self) -> bool {
        self.fault.ends_connection()
    }
}

/// Adds to a fault of the web server what AWS says of the environment. AWS is asked first,
/// unless it was of late; the client waits for that only a moment.
pub(super) async fn explain(
    corridor: &Corridor,
    entry: &Arc<Entry>,
    fault: Refused,
) -> Refused {
    if fault.code().blame != Blame::Upstream {
        return fault;
    }
    let news = corridor.shared.versions.refresh(entry);
    // what is not there in time is there for the next one
    let _late = corridor.sweeper.within(PATIENCE, news).await;
    let why = entry.learnt().and_then(|learnt| {
        if fault.code() == &code::UPSTREAM_UNREACHABLE {
            learnt.described.why_unreachable()
        } else {
            learnt.described.why_unwell()
        }
    });
    match why {
        Some(why) => Box::new(Explained { fault, why }),
        None => fault,
    }
}

/// The client waits so long for AWS's explanation.
const PATIENCE: Duration = Duration::from_secs(1);
