//! The Lambda functions of a pipeline.

use std::sync::Arc;

use crate::model::{Catalog, Sizing, Table, Target};
use crate::sql::Ident;

/// A Lambda function of the pipeline.
#[derive(Clone, Copy, Debug)]
pub enum Function<'c> {
    /// Looks at what the warehouse holds.
    Checkpoint,
    /// Decides what changed.
    Plan,
    /// Reads one source table.
    Extract(&'c Arc<Table>),
    /// Makes one dimension or fact.
    Transform(&'c Arc<Target>),
    /// Merges everything into the warehouse.
    Load,
    /// Holds a failed execution until it is redriven.
    Halt,
}

impl<'c> Function<'c> {
    /// The program it runs; one for all tables.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Plan => "plan",
            Self::Extract(_) => "extract",
            Self::Transform(_) => "transform",
            Self::Load => "load",
            Self::Halt => "halt",
        }
    }

    /// The table or target it is for.
    #[must_use]
    pub fn subject(self) -> Option<&'c Ident> {
        match self {
            Self::Extract(table) => Some(&table.name),
            Self::Transform(target) => Some(&target.name),
            Self::Checkpoint | Self::Plan | Self::Load | Self::Halt => None,
        }
    }
}

/// The programs that functions run, each built from the package of its name.
pub const PROGRAMS: [&str; 6] = ["checkpoint", "plan", "extract", "transform", "load", "halt"];

impl Catalog {
    /// Every function of the pipeline: checkpoint, plan, extracts, transforms, load, halt.
    pub fn all_functions(&self) -> impl Iterator<Item = Function<'_>> {
        [Function::Checkpoint, Function::Plan]
            .into_iter()
            .chain(self.source.tables.iter().map(Function::Extract))
            .chain(self.warehouse.targets.iter().map(Function::Transform))
            .chain([Function::Load, Function::Halt])
    }

    /// The memory and time of a function.
    #[must_use]
    pub fn sizing(&self, function: Function<'_>) -> Sizing {
        match function {
            Function::Checkpoint => self.functions.checkpoint,
            Function::Plan => self.functions.plan,
            Function::Load => self.functions.load,
            Function::Halt => self.functions.halt,
            Function::Extract(table) => table.sizing,
            Function::Transform(target) => target.sizing,
        }
    }
}
