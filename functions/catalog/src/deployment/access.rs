//! What each function has to reach, and nothing else: the ground for its role in AWS and for its credentials here.

use crate::contract::side::Side;
use crate::deployment::Function;
use crate::key::{Bucket, Key, STATES};
use crate::model::{Capture, Catalog};

/// The reach of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Prefixes whose objects it reads and lists.
    pub reads: Vec<(Bucket, String)>,
    /// Prefixes under which it creates objects; it never overwrites or deletes one.
    pub creates: Vec<(Bucket, String)>,
    /// The database whose credentials it reads. No function reaches both.
    pub database: Option<Side>,
    /// Whether it lists the executions of the state machine.
    pub executions: bool,
}

impl Catalog {
    /// What a function of this catalogue has to reach.
    #[must_use]
    pub fn access(&self, function: Function<'_>) -> Access {
        let states = || (Bucket::Processed, STATES.to_owned());
        match function {
            Function::Checkpoint => Access { database: Some(Side::Warehouse), ..Access::default() },
            // What it builds on, and whether the whole copies of earlier batches are still what was written.
            Function::Plan => {
                let kept = self.source.tables.iter().filter(|table| table.capture == Capture::Snapshot);
                let copies = kept.map(|table| (Bucket::Ingestion, Key::folder(&table.name)));
                Access {
                    reads: std::iter::once(states()).chain(copies).collect(),
                    database: Some(Side::Source),
                    executions: true,
                    ..Access::default()
                }
            }
            Function::Extract(table) => {
                let own = vec![(Bucket::Ingestion, Key::folder(&table.name))];
                Access { reads: own.clone(), creates: own, database: Some(Side::Source), ..Access::default() }
            }
            Function::Transform(target) => {
                let own = (Bucket::Processed, Key::folder(&target.name));
                let reads =
                    self.sources_of(target).into_iter().map(|table| (Bucket::Ingestion, Key::folder(&table.name)));
                Access { reads: reads.chain([own.clone()]).collect(), creates: vec![own], ..Access::default() }
            }
            // Every target's Parquet, and the states: all there is in that bucket.
            Function::Load => Access {
                reads: vec![(Bucket::Processed, String::new())],
                creates: vec![states()],
                database: Some(Side::Warehouse),
                ..Access::default()
            },
            Function::Halt => Access::default(),
        }
    }
}
