//! What changes around a pipeline that nobody told it of. Each kind ends as it must: a run fails at most once and says why,
//! and the next one heals, without anybody's help.

mod server;
mod source;
mod stack;
mod warehouse;

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::site::Site;

pub(crate) use server::Beside;

/// A kind of circumstance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circumstance {
    /// None: writers, runs and faults alone.
    Plain,
    /// A partition that was filled before is attached.
    PartitionAttached,
    /// Two columns change their names with each other.
    ColumnsSwapped,
    /// A column is dropped, and added with a default: no row is written.
    ColumnReplaced,
    /// A label of an enumeration has another name.
    LabelRenamed,
    /// A table that was filled before stands where a view stood.
    ViewReplaced,
    /// A table that was filled before stands where another stood.
    TableSwapped,
    /// Row security hides rows from the reader for a while.
    RowsHidden,
    /// A fact and a dimension are dropped.
    TargetsDropped,
    /// A fact is truncated.
    TargetTruncated,
    /// The warehouse is dropped and made anew, empty.
    WarehouseEmptied,
    /// The warehouse is put back to what it was.
    WarehouseRestored,
    /// The warehouse is copied, and the copy is loaded from now on.
    WarehouseMoved,
    /// The server of both databases dies, and is started again.
    ServersKilled,
    /// The source's server dies with transactions that it had committed and not flushed.
    SourceLosesCommits,
    /// A copy of the source under another identity stands behind the same name.
    SourceReplaced,
    /// A standby is promoted and read from now on.
    StandbyPromoted,
    /// A reader endpoint leads to the source or to a replica that is behind.
    ReaderLags,
    /// Both buckets are emptied.
    LakeWiped,
    /// Some objects are gone, others altered.
    LakeDamaged,
    /// The clock is put back: the ledger has entries of a time to come.
    ClockPutBack,
    /// The catalogue is edited and deployed in the middle of a run.
    CatalogueEdited,
}

impl Circumstance {
    /// Every kind.
    pub const ALL: [Self; 22] = [
        Self::Plain,
        Self::PartitionAttached,
        Self::ColumnsSwapped,
        Self::ColumnReplaced,
        Self::LabelRenamed,
        Self::ViewReplaced,
        Self::TableSwapped,
        Self::RowsHidden,
        Self::TargetsDropped,
        Self::TargetTruncated,
        Self::WarehouseEmptied,
        Self::WarehouseRestored,
        Self::WarehouseMoved,
        Self::ServersKilled,
        Self::SourceLosesCommits,
        Self::SourceReplaced,
        Self::StandbyPromoted,
        Self::ReaderLags,
        Self::LakeWiped,
        Self::LakeDamaged,
        Self::ClockPutBack,
        Self::CatalogueEdited,
    ];

    /// Whether the warehouse loses versions that it held, or rows that its ledger tells of.
    pub(crate) fn loses_versions(self) -> bool {
        matches!(
            self,
            Self::TargetsDropped
                | Self::TargetTruncated
                | Self::WarehouseEmptied
                | Self::WarehouseRestored
                | Self::WarehouseMoved
        )
    }

    /// Whether a run that reads what stood some time ago is a good run: what came and went meanwhile nobody can insist on.
    pub(crate) fn reads_late(self) -> bool {
        self == Self::ReaderLags
    }

    /// Whether the source loses transactions that it had committed.
    pub(crate) fn is_lossy(self) -> bool {
        self == Self::SourceLosesCommits
    }

    /// Whether writers have to rest while it is prepared, and while it happens: they would write to what is left behind.
    pub(crate) fn writers_rest(self) -> (bool, bool) {
        match self {
            Self::SourceLosesCommits => (true, false),
            Self::SourceReplaced | Self::StandbyPromoted => (false, true),
            _ => (false, false),
        }
    }

    /// Whether it may happen while a run is at work.
    pub(crate) fn happens_in_mid_run(self) -> bool {
        matches!(
            self,
            Self::PartitionAttached
                | Self::ColumnsSwapped
                | Self::ColumnReplaced
                | Self::LabelRenamed
                | Self::ViewReplaced
                | Self::TableSwapped
                | Self::RowsHidden
                | Self::TargetsDropped
                | Self::TargetTruncated
                | Self::WarehouseEmptied
                | Self::WarehouseRestored
                | Self::LakeWiped
                | Self::LakeDamaged
                | Self::ClockPutBack
        )
    }

    /// What a run says that fails for it as long as it lasts; nothing where runs go on.
    pub(crate) fn complaint(self) -> Option<&'static str> {
        match self {
            Self::RowsHidden => Some("row-level security policy"),
            Self::SourceReplaced => Some("Source.Replaced"),
            _ => None,
        }
    }

    /// What a run is told by a person who means it.
    pub(crate) fn consent(self) -> Value {
        match self {
            Self::SourceReplaced => json!({ "adopt_source": true }),
            _ => json!({}),
        }
    }

    /// What must be there before it happens; a run passes in between.
    pub(crate) async fn prepare(self, site: &Site, beside: &mut Beside) -> Result<()> {
        match self {
            Self::PartitionAttached | Self::ViewReplaced | Self::TableSwapped => source::prepare(self, site).await,
            Self::WarehouseRestored => warehouse::save(site).await,
            Self::StandbyPromoted | Self::ReaderLags => beside.begin(site).await,
            // A server of its own, so that no commit in the warehouse flushes it.
            Self::SourceLosesCommits => {
                beside.begin(site).await?;
                beside.promote(site).await
            }
            _ => Ok(()),
        }
    }

    /// Makes it happen.
    pub(crate) async fn happen(self, site: &Site, beside: &mut Beside, rng: &mut Rng) -> Result<()> {
        site.steps.note(&format!("circumstance: {self}"));
        match self {
            Self::Plain => Ok(()),
            Self::PartitionAttached
            | Self::ColumnsSwapped
            | Self::ColumnReplaced
            | Self::LabelRenamed
            | Self::ViewReplaced
            | Self::TableSwapped
            | Self::RowsHidden => source::happen(self, site).await,
            Self::TargetsDropped
            | Self::TargetTruncated
            | Self::WarehouseEmptied
            | Self::WarehouseRestored
            | Self::WarehouseMoved
            | Self::ClockPutBack => warehouse::happen(self, site).await,
            Self::ServersKilled => server::kill_both(site).await,
            Self::SourceLosesCommits => beside.kill_source(site).await,
            Self::SourceReplaced => server::replace(site).await,
            Self::StandbyPromoted => beside.promote(site).await,
            Self::ReaderLags => beside.lag(site, rng.fork()).await,
            Self::LakeWiped => stack::wipe_lake(site),
            Self::LakeDamaged => stack::damage_lake(site, rng),
            Self::CatalogueEdited => stack::edit_catalogue(site, rng).await,
        }
    }

    /// What ends it, where it does not last.
    pub(crate) async fn end(self, site: &Site, beside: &mut Beside) -> Result<()> {
        match self {
            Self::RowsHidden => source::show_rows(site).await,
            Self::ReaderLags => beside.catch_up().await,
            _ => Ok(()),
        }
    }

    /// What stands for an unknown location from then on.
    pub(crate) fn unknown(self) -> &'static str {
        if self == Self::CatalogueEdited { stack::UNKNOWN } else { "Unknown" }
    }
}

impl fmt::Display for Circumstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push('-');
            }
            words.extend(letter.to_lowercase());
        }
        f.pad(&words)
    }
}

impl FromStr for Circumstance {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|kind| kind.to_string() == word) {
            Some(kind) => Ok(kind),
            None => {
                let known: Vec<String> = Self::ALL.iter().map(ToString::to_string).collect();
                bail!("{word:?} is no circumstance; there are {}", known.join(", "))
            }
        }
    }
}
