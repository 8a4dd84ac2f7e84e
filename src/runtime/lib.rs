//! Clocks, timeouts, tasks, request bodies and the operating system.

mod clock;
pub mod platform;
mod request_body;
pub mod resolver;
mod shutdown;
mod tasks;
mod timer;

pub use clock::{ClockShift, Timestamp, boot_clock, end_turn, keep_time_for_a_turn};
pub use request_body::{PaceLimit, RequestBody, UnreadBody};
pub use shutdown::Shutdown;
pub use tasks::{BackgroundTasks, Finish, LocalTasks, local_set};
pub use timer::{CoarseTimer, Deadline, Elapsed, RuntimeTimer, Timer};
