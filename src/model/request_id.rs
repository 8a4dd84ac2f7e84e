//! The id of a request.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The id of one request: in a header of our response, in fault bodies and in log lines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    /// Returns the next id: a random number for the process, and a count.
    pub fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // ids must differ, but need no order between threads
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PROCESS)?;
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// The part that all ids of this process share.
static PROCESS: LazyLock<String> = LazyLock::new(|| format!("{:016x}-", fastrand::u64(..)));

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ() {
        let first = RequestId::next();
        let second = RequestId::next();
        assert_ne!(first, second);
        assert_ne!(first.to_string(), second.to_string());
        let text = RequestId(0xab).to_string();
        let (process, count) = text.split_once('-').unwrap();
        assert!(process.len() == 16 && process.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(count, "ab");
    }
}
