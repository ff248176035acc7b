//! What functions say to each other, through the state machine and through the lake. They meet here and nowhere else.

pub(crate) mod agreement;
pub mod alert;
pub(crate) mod batch;
pub mod fault;
pub(crate) mod horizon;
pub mod key;
pub mod ledger;
pub mod manifest;
pub mod message;
pub(crate) mod side;
pub mod state;
pub(crate) mod told;
