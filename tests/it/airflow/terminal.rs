//! On a terminal: foreign text cannot control it, and a long command shows its progress.

use super::{printed, through};
use crate::program::{Running, end};
use crate::support::{HELD, Harness, OnTerminal};
use mwaa_emulator::WebFault;

const HOSTILE: &str =
    "ok\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31mred\u{1b}[0m\u{9b}5n\rover\u{8}\u{202e}";

/// The line that shows a command's progress: the only one with escape sequences.
fn moving(shown: &str) -> String {
    let lines: Vec<_> = shown
        .split('\r')
        .filter(|line| line.contains(" s"))
        .collect();
    lines.join("\n")
}

#[tokio::test]
async fn foreign_text_cannot_control_the_terminal() {
    let harness = Harness::new().await;
    harness
        .script()
        .web_fault
        .next(1, printed(HOSTILE, HOSTILE));
    let program = OnTerminal::start(through(&harness, &["dags", "list"]), true);
    let (code, _, shown) = program.end().await;
    let neutral = "ok^[]0;title^G^[[2Jred<U+009B>5n\r\nover^H<U+202E>";
    assert_eq!(code, Some(0), "{shown:?}");
    assert_eq!(shown, format!("{neutral}{neutral}\r\n"));

    // the same for foreign text in a fault
    let page = WebFault::Status {
        status: 500,
        content_type: "text/plain".to_owned(),
        body: "oops\u{1b}[2J\u{7}".to_owned(),
    };
    harness.script().web_fault.next(1, page);
    let program = OnTerminal::start(through(&harness, &["dags", "list"]), true);
    let (code, _, shown) = program.end().await;
    assert_eq!(code, Some(1), "{shown:?}");
    assert!(shown.starts_with("oops^[[2J^G\r\n"), "{shown:?}");

    // and for a raw response
    let page = WebFault::Status {
        status: 500,
        content_type: "text/html".to_owned(),
        body: "<p>\u{1b}]52;c;eA==\u{7}".to_owned(),
    };
    harness.script().web_fault.next(1, page);
    let raw = ["--output", "raw", "dags", "list"];
    let program = OnTerminal::start(through(&harness, &raw), true);
    let (code, _, shown) = program.end().await;
    assert_eq!(code, Some(1), "{shown:?}");
    assert!(shown.starts_with("<p>^[]52;c;eA==^G"), "{shown:?}");

    // a pipe gets the original bytes, even if stderr is a terminal
    harness.script().web_fault.next(1, printed(HOSTILE, ""));
    let program = OnTerminal::start(through(&harness, &["dags", "list"]), false);
    let (code, piped, shown) = program.end().await;
    assert_eq!(
        (code, piped.as_str(), shown.as_str()),
        (Some(0), HOSTILE, "")
    );
}

#[tokio::test]
async fn a_long_command_shows_its_progress() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let command = through(&harness, &["-e", "demo", "dags", "list"]);
    let mut program = OnTerminal::start(command, true);
    program.shows("running dags list on demo · ").await;
    harness.script().cut_web_connections();
    let (code, _, shown) = program.end().await;
    assert_eq!(code, Some(1), "{shown:?}");
    let (line, told) = shown.rsplit_once("\u{1b}[2K").expect("the line is cleared");
    assert!(!moving(line).is_empty(), "{shown:?}");
    assert!(
        told.contains("error") && !told.contains("running"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_queued_command_shows_its_queue_position() {
    let harness = Harness::new().await;
    harness.script().web_fault.next(1, WebFault::Hang);
    let _first = Running::start(through(&harness, &["version"]));
    harness
        .seen("the first one", |journal| journal.web_count() == 1)
        .await;
    let mut second = OnTerminal::start(through(&harness, &["dags", "list"]), true);
    second.shows("dags list is next in the queue · ").await;
    let mut third = OnTerminal::start(through(&harness, &["version"]), true);
    third
        .shows("version is waiting in the queue, 1 before it · ")
        .await;
    harness.script().cut_web_connections();
    let (code, _, shown) = second.end().await;
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(shown.contains("lab_hello"), "{shown:?}");
    assert_eq!(third.end().await.0, Some(0));
}

/// No line moves where that is not wanted or not possible.
#[tokio::test]
async fn a_dumb_terminal_gets_plain_progress_lines_and_a_pipe_none() {
    let harness = Harness::new().await;
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        harness.script().web_fault.next(1, WebFault::Hang);
        let command = through(&harness, &["dags", "list"]);
        let mut program = OnTerminal::with(command, true, &[(name, value)]);
        program.shows("running dags list\r\n").await;
        harness.script().cut_web_connections();
        let (_, _, shown) = program.end().await;
        assert_eq!(shown.matches("running").count(), 1, "{shown:?}");
        assert!(!shown.contains("\u{1b}[2K"), "{shown:?}");
    }
    harness.script().command_delay.next(1, HELD);
    let meanwhile = async {
        harness
            .seen("its command", |journal| journal.running_commands() == 1)
            .await;
        // a terminal that began later shows a line: so the pipe would have one
        let mut shown = OnTerminal::start(through(&harness, &["version"]), true);
        shown.shows("version is next in the queue").await;
        harness.script().command_delay.off();
    };
    let (ended, ()) = tokio::join!(end(through(&harness, &["dags", "list"])), meanwhile);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
}
