//! The last lines of a program's output, as printable text.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::Notify;

/// The last lines of one program. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct OutputTail(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<VecDeque<String>>,
    more: Notify,
}

impl OutputTail {
    /// Reads lines until the end, and logs them.
    pub(super) async fn read_from(self, output: impl AsyncRead + Unpin, program: String) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        let mut count = 0;
        loop {
            // one that never stops writing is read slowly, and so has to wait
            if count > MAX_BURST {
                count = 0;
                tokio::time::sleep(PAUSE).await;
            }

            line.clear();
            let mut bounded = (&mut output).take(MAX_LINE_BYTES);
            match bounded.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => {
                    count += bytes;
                    let text = to_printable(&line);
                    // the log is the only place with more than the last lines
                    if !text.is_empty() {
                        tracing::debug!(program, text, "tunnel output");
                        self.push(text);
                    }
                }
            }
        }
    }

    fn push(&self, text: String) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
        self.0.more.notify_waiters();
    }

    /// Waits for the next line.
    pub(super) async fn wait_for_line(&self) {
        self.0.more.notified().await;
    }

    /// Returns the last lines in one; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join(" / "))
    }
}

/// Returns one line without the characters that a terminal would act on.
fn to_printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    // line separators, and marks that change the direction of text
    let text = text.chars().map(|c| match c {
        c if c.is_control() => ' ',
        '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        c => c,
    });
    let text: String = text.take(MAX_LINE_CHARS).collect();
    text.trim().to_owned()
}

/// Bytes that are read without a pause.
const MAX_BURST: usize = 64 << 10;
/// The pause.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines that are kept.
const MAX_LINES: usize = 3;
/// A longer line counts as several, in bytes.
const MAX_LINE_BYTES: u64 = 4096;
/// The part of a line that is kept, in characters.
const MAX_LINE_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_sanitized() {
        let tail = OutputTail::default();
        let output = "one\n\ntwo \u{1b}[31mred\r\nthree\nfour";
        tail.clone()
            .read_from(output.as_bytes(), "x".to_owned())
            .await;
        assert_eq!(tail.text().unwrap(), "two  [31mred / three / four");
        tail.clone()
            .read_from(&[b'x'; 10_000][..], "x".to_owned())
            .await;
        assert!(tail.text().unwrap().len() <= 3 * (MAX_LINE_CHARS + 3));
    }
}
