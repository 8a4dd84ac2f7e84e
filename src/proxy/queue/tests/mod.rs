//! The queue without the wire: its rules as properties, and its use by several threads.

mod fair_queue;
mod grants;
mod threads;
