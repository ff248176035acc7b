//! Fail: the flow ends in an error.

use super::{COMMON, Kind};
use crate::failure::Failure;
use crate::fields::{DefinitionError, Fields};
use crate::flow::{Flow, Performed, Trouble};
use crate::runtime::Runtime;

#[derive(Debug)]
pub(crate) struct Fail {
    failure: Failure,
}

impl Fail {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        fields.only(&[&COMMON[..], &["Error", "Cause"]].concat())?;
        Ok(Self { failure: Failure { error: fields.text("Error")?, cause: fields.text("Cause")? } })
    }
}

impl Kind for Fail {
    fn exits(&self) -> Vec<&str> {
        Vec::new()
    }

    fn perform(&self, _flow: &mut Flow, _runtime: &mut Runtime<'_>) -> Performed {
        Err(Trouble::Failed(self.failure.clone()))
    }

    fn revive(&self, flow: &mut Flow, runtime: &mut Runtime<'_>, redriven: u64) -> Performed {
        // It fails again at once, from the redrive and not from its old event.
        flow.last = redriven;
        self.perform(flow, runtime)
    }
}
