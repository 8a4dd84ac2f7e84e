//! Clocks, timeouts, tasks, buffers and the operating system.

mod buffers;
mod clock;
mod file_states;
mod named_file;
mod pace;
pub mod platform;
pub mod resolver;
mod shutdown;
mod tasks;
mod timer;

pub use buffers::{
    READ_SIZE, WideRead, return_input_buffer, return_write_buffer, take_input_buffer,
    take_write_buffer, with_read_buffer,
};
pub use clock::{
    ClockShift, Timestamp, boot_clock, end_turn, keep_time_for_a_turn, process_time,
};
pub use file_states::FileStates;
pub use named_file::{LARGEST_BUNDLE, open_regular_file, read_limited, read_regular_file};
pub use pace::PaceLimit;
pub use shutdown::{Shutdown, ShutdownStage};
pub use tasks::{BackgroundTasks, Finish, LocalTasks, local_set};
pub use timer::{CoarseTimer, Deadline, Elapsed, RuntimeTimer, Timer};
