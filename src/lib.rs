//! mwaa-gateway: reach Amazon MWAA through localhost, without tokens.

pub mod emulator;
pub mod names;
