//! The two databases: the session every statement relies on, what an error of theirs means, what their tables look like,
//! in what they differ from the catalogue, and what a role may read.

mod address;
pub mod agree;
mod classify;
mod fingerprint;
mod guard;
mod identity;
pub mod inspect;
pub mod rights;
mod session;
mod snapshot;
mod words;

pub use address::{Address, AddressError, retain, url_of};
pub use classify::classify;
pub use fingerprint::fingerprints;
pub use identity::identity;
pub use session::{Session, connect};
pub use snapshot::{Snapshot, snapshot};
pub use words::words;
