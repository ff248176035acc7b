//! One catalogue a batch: whoever is asked says whether it means the same as whoever asks.

use std::fmt;

use crate::contract::fault::{Error, Fault, Result};
use crate::model::{Catalog, Table, Target};

/// Refuses a fingerprint that is not one's own.
fn agreed(subject: impl fmt::Display, theirs: &str, mine: &str) -> Result<()> {
    if theirs == mine {
        return Ok(());
    }
    let what = format!("this function has another catalogue than the run: {subject} is {mine} here and {theirs} there");
    Err(Error::new(Fault::DeploymentInProgress, what))
}

impl Catalog {
    /// Refuses to work for a run that was made from another catalogue.
    ///
    /// # Errors
    /// `Deployment.InProgress`.
    pub fn agree_on_all(&self, theirs: &str) -> Result<()> {
        agreed("the catalogue", theirs, &self.fingerprint_of_all())
    }

    /// Refuses to read a table that another catalogue describes otherwise.
    ///
    /// # Errors
    /// `Deployment.InProgress`.
    pub fn agree_on_table(&self, table: &Table, theirs: &str) -> Result<()> {
        agreed(&table.name, theirs, &self.fingerprint_of_table(table))
    }

    /// Refuses to make a target that another catalogue describes otherwise.
    ///
    /// # Errors
    /// `Deployment.InProgress`.
    pub fn agree_on_target(&self, target: &Target, theirs: &str) -> Result<()> {
        agreed(&target.name, theirs, &self.fingerprint(target))
    }
}
