//! What is no longer in memory of an execution that has ended is read from its journal.

use std::io;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use asl::{Execution, Status};

use crate::entry::Entry;
use crate::journal::{self, Recorded};
use crate::refusal::Refusal;
use crate::states::StepFunctions;
use crate::summary::Summary;

impl StepFunctions {
    /// Lets one look at all of an execution: from its journal, once it has ended.
    ///
    /// # Errors
    /// `ServiceException` when the journal cannot be read now; `ExecutionDoesNotExist` when it is damaged, which puts it
    /// aside and is told.
    pub fn read<T>(&self, entry: &Entry, look: impl FnOnce(&Execution) -> T) -> Result<T, Refusal> {
        // Held while it is read: nobody redrives it meanwhile.
        let held = entry.held();
        if let Some(execution) = held.execution() {
            return Ok(look(execution));
        }
        let known = self.recent().get(entry.journal());
        let execution = match known {
            Some(execution) => execution,
            None => {
                let execution = Arc::new(self.recall(entry, &held.summary)?.execution);
                self.recent().put(entry.journal(), Arc::clone(&execution));
                execution
            }
        };
        drop(held);
        Ok(look(&execution))
    }

    /// The executions that are in memory with their histories: those that somebody drives, and a few that were read last.
    #[must_use]
    pub fn held_whole(&self) -> usize {
        let driven = self.before(None).iter().filter(|entry| entry.held().execution().is_some()).count();
        driven + self.recent().len()
    }

    /// The definition that is in force for an execution, and who it runs as.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub(crate) fn started(&self, entry: &Entry) -> Result<journal::Start, Refusal> {
        let held = entry.held();
        journal::start(entry.journal()).map_err(|error| match held.execution() {
            // What somebody drives is not forgotten.
            Some(_) => unreadable(entry, &error),
            None => self.unread(entry, &held.summary, &error),
        })
    }

    /// Reads an execution that has ended from its journal.
    pub(crate) fn recall(&self, entry: &Entry, summary: &Summary) -> Result<Recorded, Refusal> {
        let recorded = journal::replay(entry.journal()).and_then(|recorded| {
            let recorded = recorded.context("its first line is cut")?;
            ensure!(recorded.execution.status != Status::Running, "its last lines are lost");
            Ok(recorded)
        });
        recorded.map_err(|error| self.unread(entry, summary, &error))
    }

    /// What is answered for an execution whose journal cannot be read. One whose journal is damaged is forgotten, as it
    /// would have been at the start, had the journal been read then.
    fn unread(&self, entry: &Entry, summary: &Summary, error: &anyhow::Error) -> Refusal {
        // The next look may succeed: too many files are open, or a disk is away.
        if error.is::<io::Error>() {
            return unreadable(entry, error);
        }
        journal::put_aside(entry.journal(), error);
        self.list().remove(&(summary.started, Arc::clone(&summary.arn)));
        Refusal::no_execution(&summary.arn)
    }
}

fn unreadable(entry: &Entry, error: &anyhow::Error) -> Refusal {
    Refusal::new("ServiceException", format!("cannot read {}: {error:#}", entry.journal().display()))
}
