//! The names of functions, buckets, topic and state machine: everything made from one catalogue begins with its name.

use crate::model::{Catalog, Sizing};
use crate::sql::{Ident, shorten};

/// AWS Lambda's limit for a function name.
const MAX_FUNCTION_NAME: usize = 64;

/// A Lambda function of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function<'c> {
    /// Decides what changed.
    Plan,
    /// Reads one source table.
    Extract(&'c Ident),
    /// Makes one dimension or fact.
    Transform(&'c Ident),
    /// Merges everything into the warehouse.
    Load,
    /// Holds a failed execution until it is redriven.
    Halt,
}

impl Function<'_> {
    /// The program it runs; one for all tables.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Extract(_) => "extract",
            Self::Transform(_) => "transform",
            Self::Load => "load",
            Self::Halt => "halt",
        }
    }

    /// The table or target it is for.
    #[must_use]
    pub fn subject(&self) -> Option<&Ident> {
        match self {
            Self::Extract(subject) | Self::Transform(subject) => Some(subject),
            Self::Plan | Self::Load | Self::Halt => None,
        }
    }
}

impl Catalog {
    /// Every function of the pipeline: plan, extracts, transforms, load, halt.
    pub fn all_functions(&self) -> impl Iterator<Item = Function<'_>> {
        std::iter::once(Function::Plan)
            .chain(self.source.tables.iter().map(|table| Function::Extract(&table.name)))
            .chain(self.warehouse.targets.iter().map(|target| Function::Transform(&target.name)))
            .chain([Function::Load, Function::Halt])
    }

    /// Its name in Lambda: at most 64 letters, digits, hyphens and underscores, unique in the catalogue.
    #[must_use]
    pub fn function_name(&self, function: Function<'_>) -> String {
        let stem = format!("{}-{}", self.pipeline.name, function.program());
        let Some(subject) = function.subject() else { return stem };
        let legal: String =
            subject.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        let name = format!("{stem}-{legal}");
        if legal == subject.as_str() {
            shorten(&name, MAX_FUNCTION_NAME)
        } else {
            // Two names that differ only in what was replaced must not become one.
            let digest = crate::digest::hex(subject.as_str().as_bytes());
            format!("{}-{}", shorten(&name, MAX_FUNCTION_NAME - 9), &digest[..8])
        }
    }

    /// Its memory and time.
    #[must_use]
    pub fn sizing(&self, function: Function<'_>) -> Sizing {
        match function {
            Function::Plan => self.functions.plan,
            Function::Load => self.functions.load,
            Function::Halt => self.functions.halt,
            Function::Extract(name) => self.table(name.as_str()).map_or(self.functions.load, |table| table.sizing),
            Function::Transform(name) => self.target(name.as_str()).map_or(self.functions.load, |target| target.sizing),
        }
    }

    /// The name of the state machine.
    #[must_use]
    pub fn state_machine_name(&self) -> String {
        format!("{}-etl", self.pipeline.name)
    }

    /// The name of the topic that alerts go to.
    #[must_use]
    pub fn topic_name(&self) -> String {
        format!("{}-alerts", self.pipeline.name)
    }
}
