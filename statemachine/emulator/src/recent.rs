//! The ended executions that were read last: whoever looks at one asks for it more than once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asl::Execution;

/// How many. A full run's history takes about half a MiB.
const KEEP: usize = 8;

/// By journal, the one that was asked for last at the end.
#[derive(Default)]
pub(crate) struct Recent(VecDeque<(PathBuf, Arc<Execution>)>);

impl Recent {
    pub(crate) fn get(&mut self, journal: &Path) -> Option<Arc<Execution>> {
        let found = self.0.iter().position(|(known, _)| known == journal)?;
        let found = self.0.remove(found)?;
        let execution = Arc::clone(&found.1);
        self.0.push_back(found);
        Some(execution)
    }

    pub(crate) fn put(&mut self, journal: &Path, execution: Arc<Execution>) {
        self.0.push_back((journal.to_owned(), execution));
        if self.0.len() > KEEP {
            self.0.pop_front();
        }
    }

    pub(crate) fn remove(&mut self, journal: &Path) {
        self.0.retain(|(known, _)| known != journal);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
