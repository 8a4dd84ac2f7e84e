//! mwaa-gateway: reach Amazon MWAA through localhost, without tokens.

pub mod config;
pub mod names;
