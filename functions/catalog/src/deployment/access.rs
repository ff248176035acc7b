//! What each function has to reach, and nothing else: the ground for its role in AWS and for its credentials here.

use crate::contract::side::Side;
use crate::deployment::Function;
use crate::key::{Bucket, COMMITS, Key};
use crate::model::Catalog;

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
        let commits = || (Bucket::Processed, COMMITS.to_owned());
        match function {
            Function::Plan => {
                Access { reads: vec![commits()], database: Some(Side::Source), executions: true, ..Access::default() }
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
            // Every target's Parquet, and the commits: all there is in that bucket.
            Function::Load => Access {
                reads: vec![(Bucket::Processed, String::new())],
                creates: vec![commits()],
                database: Some(Side::Warehouse),
                ..Access::default()
            },
            Function::Halt => Access::default(),
        }
    }
}
