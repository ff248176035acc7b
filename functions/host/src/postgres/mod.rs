//! The two databases: the session every statement relies on, what an error of theirs means, what their tables look like,
//! in what they differ from the catalogue, and what a role may read.

pub mod agree;
mod classify;
mod fingerprint;
mod identity;
pub mod inspect;
pub mod rights;
mod session;
mod snapshot;

pub use classify::classify;
pub use fingerprint::fingerprints;
pub use identity::identity;
pub use session::place;
pub(crate) use session::{Session, connect};
pub use snapshot::{Snapshot, snapshot};
