//! A word that many tasks wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Raised once; whoever holds a copy sees it.
#[derive(Clone, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
