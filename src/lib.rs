//! mwaa-gateway: reach Amazon MWAA through localhost, without tokens.

pub mod names;
pub mod policy;
