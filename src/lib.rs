//! mwaa-gateway: reach Amazon MWAA through localhost, without tokens.

pub mod control;
pub mod guard;
pub mod listener;
pub mod names;
pub mod route;
pub mod runtime;
