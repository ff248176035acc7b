//! The operator's program: the pipeline on one machine, and the command line for it there and in AWS.
//!
//! A library so that every test drives the very stack that a person starts.

pub mod cli;
pub mod environment;
pub mod sample;
pub mod say;
pub mod stack;
