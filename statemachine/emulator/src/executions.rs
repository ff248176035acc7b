//! The executions that are kept, by time and by ARN.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::entry::Entry;

/// Start and ARN: in the order of time, and of name where two started in one millisecond.
pub(crate) type Place = (DateTime<Utc>, Arc<str>);

#[derive(Default)]
pub(crate) struct Executions {
    by_time: BTreeMap<Place, Arc<Entry>>,
    by_arn: HashMap<Arc<str>, Arc<Entry>>,
}

impl Executions {
    /// Of two with one ARN, which earlier versions could start, the one put in later is found.
    pub(crate) fn insert(&mut self, place: Place, entry: &Arc<Entry>) {
        self.by_arn.insert(Arc::clone(&place.1), Arc::clone(entry));
        self.by_time.insert(place, Arc::clone(entry));
    }

    pub(crate) fn remove(&mut self, (started, arn): &Place) {
        self.by_time.remove(&(*started, Arc::clone(arn)));
        self.by_arn.remove(arn);
        // Rare enough for a scan: see above.
        if let Some((_, other)) = self.by_time.iter().rev().find(|((_, known), _)| known == arn) {
            self.by_arn.insert(Arc::clone(arn), Arc::clone(other));
        }
    }

    pub(crate) fn find(&self, arn: &str) -> Option<Arc<Entry>> {
        self.by_arn.get(arn).cloned()
    }

    /// The newest first: all, or those that are older than a place.
    pub(crate) fn before(&self, place: Option<&Place>) -> Vec<Arc<Entry>> {
        match place {
            None => self.by_time.values().rev().cloned().collect(),
            Some(place) => self.by_time.range(..place).rev().map(|(_, entry)| Arc::clone(entry)).collect(),
        }
    }
}
