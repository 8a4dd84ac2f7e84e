//! mwaa-gateway: reach Amazon MWAA through localhost, without tokens.
//!
#![doc = include_str!("../ARCHITECTURE.md")]

pub mod app;
