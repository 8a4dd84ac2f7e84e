//! Time, tasks and the system, handed down to whoever needs them.

mod clock;
mod pace;
pub mod platform;
mod request_body;
pub mod resolver;
mod sweep;
mod tasks;
mod timer;

pub use clock::{Moment, uptime};
pub use pace::Pace;
pub use request_body::{RequestBody, Rest};
pub use sweep::{Deadline, Elapsed, Sweeper};
pub use tasks::{Background, Finish, Guarded, LocalTasks, local_set};
pub use timer::{RuntimeTimer, Timer};
