//! The operator's program: the command line for the pipeline, on this machine and in AWS.
//!
//! A library so that every test drives the very stack that a person starts.

pub mod catalogue;
pub mod cli;
mod databases;
mod interruption;
pub mod news;
mod place;
mod run;
pub mod say;
mod stack;
