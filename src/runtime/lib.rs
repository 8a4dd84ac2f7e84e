//! Clocks, timeouts, tasks, request bodies and the operating system.

mod clock;
pub mod platform;
mod request_body;
pub mod resolver;
mod tasks;
mod timer;

pub use clock::{ClockShift, Timestamp, boot_clock};
pub use request_body::{PaceLimit, RequestBody, UnreadBody};
pub use tasks::{BackgroundTasks, Finish, LocalTasks, local_set};
pub use timer::{CoarseTimer, Deadline, Elapsed, RuntimeTimer, Timer};
