//! The emulator: AWS and an MWAA web server on loopback.

pub mod world;
