//! Tests of the protocol.

mod claim_simulation;
mod seal;
mod slot_simulation;
