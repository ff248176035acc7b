//! What was done, counted by kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by name; copies count together.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    pub(crate) fn add(&self, what: &str, number: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what.to_owned()).or_default() += number;
    }

    pub(crate) fn one(&self, what: &str) {
        self.add(what, 1);
    }

    /// Every count, by name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts another tally's as well.
    pub fn take_in(&self, other: &Self) {
        for (what, number) in other.counts() {
            self.add(&what, number);
        }
    }
}
