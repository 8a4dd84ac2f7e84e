//! One line of the audit log.

use mwaa_model::{Client, Entry, RequestId, debug_fields};
use mwaa_runtime::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// A token of AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// A CLI token.
    Cli,
    /// A web login token.
    Web,
}

/// One command: its client, its time, and its outcome; or one token that a client gets. Only `arguments` has text that the client
/// wrote.
#[derive(Clone, Serialize)]
pub struct Record {
    /// The time of the request; RFC 3339, UTC.
    time: String,
    request_id: String,
    /// The client's address, or `unix`.
    peer: String,
    /// The client's user, if the system knows it.
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
    /// The words that name the command, from the table; `other` if no table has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<&'static str>,
    /// The kind of the token, never the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenKind>,
    /// The names of its options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<&'static str>,
    /// The whole command in our own quoting, if the configuration requires it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// The outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// The web server's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the fault in the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// True if the client has disconnected before the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub client_left: bool,
    /// The time that it waited for a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
}

debug_fields!(Record: time, request_id, uid, pid, environment, command, options, outcome, fault);

impl Record {
    /// Creates the record of a request that has just arrived.
    pub fn new(id: RequestId, client: &Client) -> Self {
        Self {
            time: format_time(Timestamp::now()),
            request_id: id.to_string(),
            peer: client.peer.to_string(),

            uid: client.identity.uid,
            pid: client.identity.pid,
            listener: client.listener.name.clone(),

            // filled in as the request goes through the gateway
            environment: None,
            mwaa_name: None,
            region: None,
            command: None,
            token: None,
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

    /// Records the environment of the command.
    pub fn set_environment(&mut self, entry: &Entry) {
        let environment = &entry.environment;
        self.environment = Some(environment.local.to_string());
        self.mwaa_name = Some(environment.name.to_string());
        self.region = environment.region.as_ref().map(ToString::to_string);
    }

    /// Records the time since the request arrived.
    pub fn set_duration(&mut self, duration: Duration) {
        self.duration_ms = Some(to_millis(duration));
    }

    /// Records the time that the command waited for a slot.
    pub fn set_queue_time(&mut self, wait: Duration) {
        self.queued_ms = Some(to_millis(wait));
    }

    /// Returns the line. It is ASCII, so no terminal takes anything in it for a command.
    pub(super) fn to_line(&self, event: &'static str) -> Vec<u8> {
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
        to_ascii(&json).into_bytes()
    }
}

/// Returns the JSON with everything but printable ASCII escaped, and a line end.
fn to_ascii(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            line.push(c);
        } else {
            // JSON escapes are UTF-16 (RFC 8259 section 7)
            for unit in c.encode_utf16(&mut [0; 2]) {
                // writing to a String does not fail
                let _infallible = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line.push('\n');
    line
}

pub(super) fn format_time(moment: Timestamp) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + moment.wall()).to_string()
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwaa_model::{ListenerPolicy, PeerAddress, PeerIdentity};
    use serde_json::{Value, json};
    use std::rc::Rc;

    #[test]
    fn a_line_is_ascii_json_without_unknown_fields() {
        let listener = ListenerPolicy {
            name: "listener".to_owned(),
            environment: None,
            rules: None,
        };
        let peer = PeerAddress::Tcp(([192, 0, 2, 1], 4711).into());
        let client = Client {
            peer,
            identity: PeerIdentity::default(),
            listener: Rc::new(listener),
        };
        let mut record = Record::new(RequestId::next(), &client);
        record.command = Some("variables set");
        record.arguments = Some("variables set k \"\u{1b}[2J\u{202e}é😀\u{7f}\n\"".to_owned());
        record.set_duration(Duration::from_micros(1_999));
        let line = String::from_utf8(record.to_line("ended")).unwrap();
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
            format_time(Timestamp::from_clocks(
                Duration::ZERO,
                Duration::from_millis(1_234)
            )),
            "1970-01-01T00:00:01.234Z"
        );
    }
}
