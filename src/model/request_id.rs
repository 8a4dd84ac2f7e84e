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

impl RequestId {
    /// The longest text of an id, in bytes.
    pub const SIZE: usize = PROCESS_SIZE + 16;

    /// Writes the text into the buffer and returns it, which is ASCII. It allocates nothing, as `to_string`
    /// does.
    pub fn encode(self, buffer: &mut [u8; Self::SIZE]) -> &[u8] {
        let (process, count) = buffer.split_at_mut(PROCESS_SIZE);
        process.copy_from_slice(&*PROCESS);

        let digits = (u64::BITS - self.0.leading_zeros()).div_ceil(4).max(1);
        let mut rest = self.0;
        let mut used = 0;
        for digit in count.iter_mut().take(digits as usize).rev() {
            *digit = match (rest & 0xf) as u8 {
                value @ ..10 => b'0' + value,
                value => b'a' - 10 + value,
            };
            rest >>= 4;
            used += 1;
        }
        buffer.get(..PROCESS_SIZE + used).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; Self::SIZE];
        f.write_str(str::from_utf8(self.encode(&mut buffer)).unwrap_or_default())
    }
}

/// The part that all ids of this process share.
static PROCESS: LazyLock<[u8; PROCESS_SIZE]> = LazyLock::new(|| {
    let text = format!("{:016x}-", fastrand::u64(..));
    text.into_bytes().try_into().unwrap_or([b'0'; PROCESS_SIZE])
});

const PROCESS_SIZE: usize = 17;

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
        for count in [0, 9, 16, u64::MAX] {
            let text = RequestId(count).to_string();
            assert!(text.ends_with(&format!("-{count:x}")), "{text}");
        }
    }
}
