//! The queue without the wire: its rules as properties, and its shell between threads.

mod line;
mod shell;
