//! What the manifests in the lake say: which parts of a batch count. A manifest is written last; of two writers the first
//! wins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contract::batch::{Batch, BatchName};
use crate::contract::fault::{Error, Fault, Result};
use crate::contract::horizon::Window;
use crate::contract::message::{ExtractRequest, Read, TargetPlan};
use crate::contract::state::{SourceIdentity, TableState};
use crate::contract::told::ToldKey;
use crate::model::{SourceColumn, Table};
use crate::sql::Ident;

/// A part that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its key, as a text.
    pub key: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// A column of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestColumn {
    /// Its name.
    pub name: String,
    /// Its type, as [`crate::ValueType`] displays it.
    pub value: String,
}

impl From<&SourceColumn> for ManifestColumn {
    fn from(column: &SourceColumn) -> Self {
        Self { name: column.name.to_string(), value: column.value.to_string() }
    }
}

/// What was read of a table in a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractManifest {
    /// The table.
    pub table: Ident,
    /// The batch.
    pub batch: Batch,
    /// What was asked for.
    pub read: Read,
    /// The fingerprint of the table in the catalogue that it was read by.
    pub definition: String,
    /// The server that was read.
    pub source: SourceIdentity,
    /// What is known of the table once this batch is in the warehouse: what was read decides, whatever is planned later.
    pub state: TableState,
    /// The transactions that the next batch brings again: from the batch's horizon to the last one that this read could
    /// see.
    pub window: Window,
    /// The CSV's columns, without the row version at its end.
    pub columns: Vec<ManifestColumn>,
    /// Parts in order.
    pub parts: Vec<Part>,
    /// Sum over the parts.
    pub rows: u64,
    /// Sum over the parts.
    pub bytes: u64,
}

impl ExtractManifest {
    /// Refuses a manifest that was made by another plan of the same batch, and says of other rows than are asked for.
    ///
    /// # Errors
    /// `Lake.Corrupt`.
    pub fn must_be_of(&self, request: &ExtractRequest) -> Result<()> {
        let same = self.read == request.plan.read
            && self.definition == request.plan.definition
            && request.source.as_ref().is_some_and(|source| self.source.is_same_database(&source.identity));
        if same { Ok(()) } else { Err(of_another_plan(&self.table, &self.batch)) }
    }
}

fn of_another_plan(subject: &Ident, batch: &Batch) -> Error {
    Error::new(Fault::LakeCorrupt, format!("the manifest of {subject} was made for another plan of the batch {batch}"))
}

/// A slice of a large table that is read and stays read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRecord {
    /// The key at which the next slice starts, each column as Postgres prints it; `None` when nothing is left.
    pub up_to: Option<Vec<String>>,
    /// Parts in order.
    pub parts: Vec<Part>,
}

/// What was made of a target in a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformManifest {
    /// The dimension or fact.
    pub target: Ident,
    /// The batch.
    pub batch: Batch,
    /// The fingerprint of the target in the catalogue that it was made by.
    pub definition: String,
    /// By source table the batch that holds what it was made of.
    pub sources: BTreeMap<Ident, Option<BatchName>>,
    /// Whether it was made of every row of its origin; what is not among them is gone from the source.
    pub whole: bool,
    /// That of its origin's read; `None` for a calendar.
    pub window: Option<Window>,
    /// The Parquet's columns, without the row version at its end.
    pub columns: Vec<ManifestColumn>,
    /// Parts in order.
    pub parts: Vec<Part>,
    /// Sum over the parts.
    pub rows: u64,
    /// Sum over the parts.
    pub bytes: u64,
    /// Rows whose lookup was not there yet; the next batch delivers them again.
    pub deferred: u64,
    /// Rows whose values the warehouse cannot take.
    pub rejects: Vec<Reject>,
}

impl TransformManifest {
    /// Refuses a manifest that was made by another plan of the same batch, of other rows than are asked for.
    ///
    /// # Errors
    /// `Lake.Corrupt`.
    pub fn must_be_of(&self, plan: &TargetPlan) -> Result<()> {
        let same = self.sources == plan.sources && self.definition == plan.definition;
        if same { Ok(()) } else { Err(of_another_plan(&self.target, &self.batch)) }
    }
}

/// A row that the warehouse cannot take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Its source key: each column as the source printed it, `None` where it is null.
    pub key: Vec<Option<String>>,
    /// Why: names the column and the value. It is read in the reject table and here, and leaves neither.
    pub reason: String,
    /// Why, for messages: without the value.
    #[serde(default)]
    pub told: String,
    /// Where the row stands in the lake, for messages: `line 7 of …`.
    #[serde(default)]
    pub place: String,
    /// The row as the source printed it.
    pub row: BTreeMap<String, Option<String>>,
}

impl Reject {
    /// The row and why, for messages: by its key, or where that holds more than numbers and uuids by its place.
    #[must_use]
    pub fn shown(&self, table: &Table) -> String {
        let columns = table.key.iter().map(|key| &key.column).zip(&self.key);
        let key = ToldKey::of(columns.map(|(column, text)| (&column.name, column.value, text.as_deref())));
        if key.is_whole() { format!("{key}: {}", self.told) } else { format!("{}: {}", self.place, self.told) }
    }
}
