//! The two databases: the session every statement relies on, what an error of theirs means, what their tables look like
//! and in what they differ from the catalogue.

pub mod agree;
mod classify;
pub mod inspect;
mod session;

pub use classify::classify;
pub(crate) use session::{Session, connect};
