//! What each function has to reach, and nothing else: the ground for its role in AWS and for its credentials here.

use crate::lake::{Bucket, COMMITS, Key};
use crate::model::Catalog;
use crate::naming::Function;

/// The reach of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Prefixes whose objects it reads and lists.
    pub reads: Vec<(Bucket, String)>,
    /// Prefixes under which it creates objects; it never overwrites or deletes one.
    pub creates: Vec<(Bucket, String)>,
    /// Whether it reads the secret with the source credentials.
    pub source: bool,
    /// Whether it reads the secret with the warehouse credentials.
    pub warehouse: bool,
    /// Whether it lists the executions of the state machine.
    pub executions: bool,
}

impl Catalog {
    /// What a function of this catalogue has to reach. None reaches both databases.
    #[must_use]
    pub fn access(&self, function: Function<'_>) -> Access {
        let commits = || (Bucket::Processed, COMMITS.to_owned());
        match function {
            Function::Plan => Access { reads: vec![commits()], source: true, executions: true, ..Access::default() },
            Function::Extract(table) => {
                let own = vec![(Bucket::Ingestion, Key::folder(table))];
                Access { reads: own.clone(), creates: own, source: true, ..Access::default() }
            }
            Function::Transform(name) => {
                let own = (Bucket::Processed, Key::folder(name));
                let sources = self.target(name.as_str()).map(|target| self.sources_of(target)).unwrap_or_default();
                let reads = sources.iter().map(|table| (Bucket::Ingestion, Key::folder(&table.name)));
                Access { reads: reads.chain([own.clone()]).collect(), creates: vec![own], ..Access::default() }
            }
            // Every target's Parquet, and the commits: all there is in that bucket.
            Function::Load => Access {
                reads: vec![(Bucket::Processed, String::new())],
                creates: vec![commits()],
                warehouse: true,
                ..Access::default()
            },
            Function::Halt => Access::default(),
        }
    }
}
