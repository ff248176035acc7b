//! Where a state leads.

use crate::fields::{DefinitionError, Fields};

/// `Next` or `End`.
#[derive(Debug)]
pub(super) enum Next {
    State(String),
    End,
}

impl Next {
    /// Fields that say it.
    pub(super) const FIELDS: [&str; 2] = ["Next", "End"];

    pub(super) fn parse(fields: &Fields<'_>) -> Result<Self, DefinitionError> {
        match (fields.text("Next")?, fields.get("End")) {
            (Some(next), None) => Ok(Self::State(next)),
            (None, Some(serde_json::Value::Bool(true))) => Ok(Self::End),
            _ => Err(fields.error("exactly one of Next and \"End\": true is needed")),
        }
    }

    pub(super) fn exit(&self) -> Option<&str> {
        match self {
            Self::State(next) => Some(next),
            Self::End => None,
        }
    }
}
