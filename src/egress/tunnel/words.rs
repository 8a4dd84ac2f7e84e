//! What a tunnel's programs say, the last of it, as printable text.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::Notify;

/// The last lines of all programs of a tunnel.
#[derive(Debug, Clone, Default)]
pub(super) struct Words(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<VecDeque<String>>,
    more: Notify,
}

impl Words {
    /// Reads lines until the end, and logs them.
    pub(super) async fn hear(self, from: impl AsyncRead + Unpin, program: String) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        let mut heard = 0;
        loop {
            // one that never stops talking is read slowly, and so waits
            if heard > MUCH {
                heard = 0;
                tokio::time::sleep(PAUSE).await;
            }
            line.clear();
            let mut bounded = (&mut from).take(LONGEST_LINE);
            match bounded.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    heard += count;
                    let text = printable(&line);
                    if !text.is_empty() {
                        tracing::debug!(program, text, "tunnel says");
                        self.add(text);
                    }
                }
            }
        }
    }

    pub(super) fn add(&self, text: String) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
        self.0.more.notify_waiters();
    }

    /// Waits for the next line.
    pub(super) async fn next(&self) {
        self.0.more.notified().await;
    }

    /// The last lines in one.
    pub(super) fn last(&self) -> Option<String> {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join(" / "))
    }
}

/// One line without what a terminal would act on.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.chars().map(|c| match c {
        c if c.is_control() => ' ',
        '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        c => c,
    });
    let text: String = text.take(LONGEST_TOLD).collect();
    text.trim().to_owned()
}

/// So much is read without a pause, in bytes.
const MUCH: usize = 64 << 10;
/// The pause.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines that are kept.
const MOST_LINES: usize = 3;
/// A longer line counts as several, in bytes.
const LONGEST_LINE: u64 = 4096;
/// Of a line so much is kept, in characters.
const LONGEST_TOLD: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_and_harmless() {
        let words = Words::default();
        let said = "one\n\ntwo \u{1b}[31mred\r\nthree\nfour";
        words.clone().hear(said.as_bytes(), "x".to_owned()).await;
        assert_eq!(words.last().unwrap(), "two  [31mred / three / four");
        words
            .clone()
            .hear(&[b'x'; 10_000][..], "x".to_owned())
            .await;
        assert!(words.last().unwrap().len() <= 3 * (LONGEST_TOLD + 3));
    }
}
