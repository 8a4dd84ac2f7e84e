//! tmp
use crate::names::*;
mod permitted;
pub use permitted::{Permitted, permit};
#[derive(Debug)]
pub struct Command;
impl Command {
    pub fn read(_b: &[u8]) -> Result<Command, Refusal> {
        Ok(Command)
    }
}
#[derive(Debug)]
pub struct Permit;
impl Permit {
    pub fn canonical(&self) -> &str {
        "version"
    }
    pub fn name(&self) -> &str {
        "version"
    }
}
#[derive(Debug)]
pub struct Rules {
    pub policy: Policy,
    pub allow: Vec<Vec<String>>,
    pub deny: Vec<Vec<String>>,
}
#[derive(Debug)]
pub struct Refusal;
impl std::fmt::Display for Refusal {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
impl std::error::Error for Refusal {}
impl Fault for Refusal {
    fn code(&self) -> &'static Code {
        &code::UNREADABLE_COMMAND
    }
}
pub fn judge(_c: &Command, _v: AirflowVersion, _r: &Rules) -> Result<Permit, Refusal> {
    Ok(Permit)
}
