//! One line of the audit log.

use crate::names::{Caller, Entry, Peer, RequestId, debug_only};
use crate::runtime::Moment;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// One command: who, when, what, and what became of it. What the client wrote is in
/// `arguments` alone.
#[derive(Clone, Serialize)]
pub struct Record {
    /// When it was asked for; RFC 3339, UTC.
    time: String,
    request_id: String,
    /// The client's address, or `unix`.
    peer: String,
    /// The client's user, as far as the system knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    listener: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mwaa_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The words that name the command, from the table; `other` for what no table knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'static str>,
    /// The names of the options it was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<&'static str>,
    /// The whole command in our own quoting, where the configuration wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// The web server's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the fault that the client was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// Whether the client went away before the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub client_left: bool,
    /// How long it waited for a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
}

debug_only!(Record: time, request_id, uid, pid, environment, command, options, outcome, fault);

impl Record {
    /// A record of a request that has just come.
    pub fn new(id: RequestId, caller: &Caller) -> Self {
        Self {
            time: time(Moment::now()),
            request_id: id.to_string(),
            peer: match caller.peer {
                Peer::Tcp(address) => address.to_string(),
                Peer::Unix => "unix".to_owned(),
            },
            uid: caller.owner.uid,
            pid: caller.owner.pid,
            listener: caller.entrance.name.clone(),
            environment: None,
            mwaa_name: None,
            region: None,
            command: None,
            options: Vec::new(),
            arguments: None,
            outcome: None,
            status: None,
            fault: None,
            client_left: false,
            queued_ms: None,
            duration_ms: None,
        }
    }

    /// Notes where the command was to run.
    pub fn goes_to(&mut self, entry: &Entry) {
        let environment = &entry.environment;
        self.environment = Some(environment.local.to_string());
        self.mwaa_name = Some(environment.name.to_string());
        self.region = environment.region.as_ref().map(ToString::to_string);
    }

    /// Notes how long it took from the request's arrival.
    pub fn took(&mut self, duration: Duration) {
        self.duration_ms = Some(milliseconds(duration));
    }

    /// Notes how long it waited for a slot.
    pub fn queued(&mut self, wait: Duration) {
        self.queued_ms = Some(milliseconds(wait));
    }

    /// The line. It is ASCII, so that no terminal takes anything in it for a command.
    pub(super) fn line(&self, event: &'static str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            event: &'static str,
            #[serde(flatten)]
            record: &'a Record,
        }
        let line = Line {
            event,
            record: self,
        };
        // text, numbers and lists of text: this does not fail
        let json = serde_json::to_string(&line).unwrap_or_default();
        ascii(&json).into_bytes()
    }
}

/// JSON with everything but printable ASCII escaped, and the line's end.
fn ascii(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            line.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // writing to a String does not fail
                let _infallible = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line.push('\n');
    line
}

pub(super) fn time(moment: Moment) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + moment.wall()).to_string()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Entrance, Owner};
    use serde_json::{Value, json};
    use std::rc::Rc;

    #[test]
    fn a_line_is_ascii_json_without_what_is_not_known() {
        let entrance = Entrance {
            name: "listener".to_owned(),
            environment: None,
            rules: None,
        };
        let peer = Peer::Tcp(([192, 0, 2, 1], 4711).into());
        let caller = Caller {
            peer,
            owner: Owner::default(),
            entrance: Rc::new(entrance),
        };
        let mut record = Record::new(RequestId::next(), &caller);
        record.command = Some("variables set");
        record.arguments = Some("variables set k \"\u{1b}[2J\u{202e}é😀\u{7f}\n\"".to_owned());
        record.took(Duration::from_micros(1_999));
        let line = String::from_utf8(record.line("ended")).unwrap();
        assert!(line.ends_with("}\n"), "{line:?}");
        assert!(
            line.trim_end().chars().all(|c| matches!(c, ' '..='~')),
            "{line:?}"
        );
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["arguments"], json!(record.arguments));
        assert_eq!(read["event"], "ended");
        assert_eq!(read["peer"], "192.0.2.1:4711");
        assert_eq!(read["duration_ms"], 1);
        assert!(
            read.get("uid").is_none() && read.get("client_left").is_none(),
            "{line}"
        );
        assert_eq!(
            time(Moment::from_clocks(
                Duration::ZERO,
                Duration::from_millis(1_234)
            )),
            "1970-01-01T00:00:01.234Z"
        );
    }
}
