//! Buffers that all connections of a thread share. A connection needs one only while bytes pass, so
//! an idle connection owns none.

use std::cell::{Cell, RefCell};

/// Calls the function with a buffer of [`READ_SIZE`] bytes, whose content is undefined. The function
/// must not call this again.
///
/// A buffer in use elsewhere is replaced by a new one, at the cost of an allocation.
pub fn with_read_buffer<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    READ_BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.is_empty() {
                buffer.resize(READ_SIZE, 0);
            }
            read(&mut buffer)
        }
        Err(_in_use) => read(&mut vec![0; READ_SIZE]),
    })
}

/// Returns an empty buffer to write a message into.
pub fn take_write_buffer() -> Vec<u8> {
    WRITE_BUFFER.take()
}

/// Returns a buffer to the thread, for the next message. A large one is dropped.
pub fn return_write_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() <= READ_SIZE {
        buffer.clear();
        WRITE_BUFFER.set(buffer);
    }
}

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static WRITE_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most bytes that are read at once: the plaintext of a whole TLS record (RFC 8446 section 5.1).
pub const READ_SIZE: usize = 16 * 1024;
