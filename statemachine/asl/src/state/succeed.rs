//! Succeed: the flow ends with the state's input.

use super::data::Paths;
use super::next::Next;
use super::{COMMON, Kind};
use crate::fields::{DefinitionError, Fields};
use crate::flow::{Flow, Performed};
use crate::runtime::Runtime;

#[derive(Debug)]
pub(crate) struct Succeed {
    paths: Paths,
}

impl Succeed {
    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        fields.only(&[COMMON, Paths::FIELDS].concat())?;
        Ok(Self { paths: Paths::parse(fields)? })
    }
}

impl Kind for Succeed {
    fn exits(&self) -> Vec<&str> {
        Vec::new()
    }

    fn perform(&self, flow: &mut Flow, runtime: &mut Runtime<'_>) -> Performed {
        let input = self.paths.input(flow, runtime)?;
        self.paths.leave(flow, runtime, &Next::End, input)
    }
}
