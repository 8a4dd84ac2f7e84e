//! Buffers that all connections of a thread share. A connection needs one only while bytes pass, so
//! an idle connection owns none.

use bytes::BytesMut;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls the function with a buffer of this size, whose content is undefined. The function must not
/// call this again.
///
/// A buffer in use elsewhere is replaced by a new one, at the cost of an allocation.
pub fn with_read_buffer<T>(size: usize, read: impl FnOnce(&mut [u8]) -> T) -> T {
    READ_BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            read(buffer.get_mut(..size).unwrap_or_default())
        }
        Err(_in_use) => read(&mut vec![0; size]),
    })
}

/// Returns an empty buffer to write a message into.
pub fn take_write_buffer() -> Vec<u8> {
    WRITE_BUFFER.take()
}

/// Returns an empty buffer for what an upstream connection reads.
pub fn take_input_buffer() -> BytesMut {
    INPUT_BUFFER.take()
}

/// Returns a buffer to the thread, for the next connection that reads. A large one is
/// dropped, as is one without memory: the thread may have a better one.
pub fn return_input_buffer(mut buffer: BytesMut) {
    buffer.clear();
    if (1..=READ_SIZE).contains(&buffer.capacity()) {
        INPUT_BUFFER.set(buffer);
    }
}

/// Returns a buffer to the thread, for the next message. A large one is
/// dropped, as is one without memory: the thread may have a better one.
pub fn return_write_buffer(mut buffer: Vec<u8>) {
    if (1..=READ_SIZE).contains(&buffer.capacity()) {
        buffer.clear();
        WRITE_BUFFER.set(buffer);
    }
}

/// The right to read more than [`READ_SIZE`] at once: a large body then costs fewer system calls. Only
/// some have it at a time, so that many slow clients do not make memory grow.
#[derive(Debug)]
pub struct WideRead(());

impl WideRead {
    /// The most bytes that are read at once with it.
    pub const SIZE: usize = 2 * READ_SIZE;

    /// Returns `None` if too many have it.
    pub fn begin() -> Option<Self> {
        let read = Self(());
        let others = WIDE_READS.fetch_add(1, Ordering::Relaxed);
        // one that is too many is given back here
        (others < MAX_WIDE_READS).then_some(read)
    }
}

impl Drop for WideRead {
    fn drop(&mut self) {
        WIDE_READS.fetch_sub(1, Ordering::Relaxed);
    }
}

static WIDE_READS: AtomicUsize = AtomicUsize::new(0);
const MAX_WIDE_READS: usize = 32;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static INPUT_BUFFER: Cell<BytesMut> = Cell::default();
    static WRITE_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most bytes that are read from a client at once: the plaintext of a whole TLS record (RFC 8446
/// section 5.1).
pub const READ_SIZE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_reads_have_a_limit() {
        let mut reads: Vec<_> = (0..MAX_WIDE_READS).map(|_| WideRead::begin()).collect();
        assert!(reads.iter().all(Option::is_some));
        assert!(WideRead::begin().is_none());
        assert!(WideRead::begin().is_none());

        reads.pop();
        assert!(WideRead::begin().is_some());
    }
}
