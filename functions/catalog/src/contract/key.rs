//! The keys of every object in the two buckets. Nobody else formats a key.
//!
//! ```text
//! ingestion   <table>/<batch>/part-<n>-<attempt>.csv
//!             <table>/<batch>/slice-<n>.json
//!             <table>/<batch>/manifest.json
//! processed   <target>/<batch>/part-<n>-<attempt>.parquet
//!             <target>/<batch>/manifest.json
//!             _states/<batch>-<attempt>.json
//! ```
//!
//! Every object is created once and never overwritten. A manifest is written last: of two writers the first wins.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::contract::batch::BatchName;
use crate::sql::Ident;

/// What stays as it is in a key; S3 takes more, but every tool agrees on these.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The prefix of all states.
pub const STATES: &str = "_states/";

/// One of the two buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// What was read of the source: CSV.
    Ingestion,
    /// What goes into the warehouse: Parquet, and the states.
    Processed,
}

impl Bucket {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingestion, Self::Processed];

    /// Its name, as a deployment's names have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingestion => "ingestion",
            Self::Processed => "processed",
        }
    }
}

/// The format of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// What `extract` writes.
    Csv,
    /// What `transform` writes.
    Parquet,
}

impl Format {
    /// Bytes at which a part is ended and the next begun: large enough that a request's overhead is nothing, small enough
    /// to hold some of them in memory and to be written by one request, so that nothing half-written stays in S3.
    #[must_use]
    pub const fn part_bytes(self) -> usize {
        match self {
            Self::Csv => 8 << 20,
            Self::Parquet => 16 << 20,
        }
    }
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// The key of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Rows of a table or target.
    Part {
        /// Table or target.
        owner: Ident,
        /// Its batch.
        batch: BatchName,
        /// From 1.
        number: u32,
        /// Distinguishes the tries of one step; letters and digits.
        attempt: String,
        /// CSV or Parquet.
        format: Format,
    },
    /// What was read of a large table so far.
    Slice {
        /// The table.
        owner: Ident,
        /// Its batch.
        batch: BatchName,
        /// From 1.
        number: u32,
    },
    /// Which parts count.
    Manifest {
        /// Table or target.
        owner: Ident,
        /// Its batch.
        batch: BatchName,
    },
    /// What the pipeline knows of the source after a batch; it counts when the ledger names it.
    State {
        /// Its batch.
        batch: BatchName,
        /// As of a part.
        attempt: String,
    },
}

impl Key {
    /// The manifest of a table or target in a batch.
    #[must_use]
    pub fn manifest(owner: &Ident, batch: &BatchName) -> Self {
        Self::Manifest { owner: owner.clone(), batch: batch.clone() }
    }

    /// The prefix of everything of a table or target.
    #[must_use]
    pub fn folder(owner: &Ident) -> String {
        format!("{}/", segment(owner.as_str()))
    }

    /// The prefix of a table's slices in a batch; they list in the order of their numbers.
    #[must_use]
    pub fn slices(owner: &Ident, batch: &BatchName) -> String {
        format!("{}slice-", batch_folder(owner, batch))
    }
}

/// One part of a key. A leading underscore is encoded, so that no table is called `_states`.
fn segment(name: &str) -> String {
    let encoded = utf8_percent_encode(name, SEGMENT).to_string();
    match encoded.strip_prefix('_') {
        Some(rest) => format!("%5F{rest}"),
        None => encoded,
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { owner, batch, number, attempt, format } => {
                write!(f, "{}part-{number:06}-{attempt}.{}", batch_folder(owner, batch), format.extension())
            }
            Self::Slice { owner, batch, number } => {
                write!(f, "{}slice-{number:06}.json", batch_folder(owner, batch))
            }
            Self::Manifest { owner, batch } => write!(f, "{}manifest.json", batch_folder(owner, batch)),
            Self::State { batch, attempt } => write!(f, "{STATES}{}-{attempt}.json", segment(batch.as_str())),
        }
    }
}

fn batch_folder(owner: &Ident, batch: &BatchName) -> String {
    format!("{}{}/", Key::folder(owner), segment(batch.as_str()))
}

/// A key that this pipeline did not write.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no key of the lake")]
pub struct KeyError(String);

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse(text).ok_or_else(|| KeyError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Key> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    if let Some(state) = text.strip_prefix(STATES) {
        let (batch, attempt) = state.strip_suffix(".json")?.rsplit_once('-')?;
        return Some(Key::State { batch: BatchName::new(decode(batch)?).ok()?, attempt: attempt.to_owned() });
    }
    let mut segments = text.split('/');
    let (owner, batch, file) = (segments.next()?, segments.next()?, segments.next()?);
    if segments.next().is_some() {
        return None;
    }
    let owner = Ident::new(decode(owner)?).ok()?;
    let batch = BatchName::new(decode(batch)?).ok()?;
    if file == "manifest.json" {
        return Some(Key::Manifest { owner, batch });
    }
    if let Some(number) = file.strip_prefix("slice-").and_then(|rest| rest.strip_suffix(".json")) {
        return Some(Key::Slice { owner, batch, number: number.parse().ok()? });
    }
    let (stem, format) = [Format::Csv, Format::Parquet]
        .into_iter()
        .find_map(|format| Some((file.strip_suffix(format.extension())?.strip_suffix('.')?, format)))?;
    let (number, attempt) = stem.strip_prefix("part-")?.split_once('-')?;
    Some(Key::Part { owner, batch, number: number.parse().ok()?, attempt: attempt.to_owned(), format })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_read_as_designed() {
        let owner = Ident::new("sales_order").unwrap();
        let name = BatchName::new("2026-11-23T13-05-00.123Z").unwrap();
        let part = Key::Part {
            owner: owner.clone(),
            batch: name.clone(),
            number: 1,
            attempt: "5f".into(),
            format: Format::Csv,
        };
        assert_eq!(part.to_string(), "sales_order/2026-11-23T13-05-00.123Z/part-000001-5f.csv");
        assert_eq!(Key::manifest(&owner, &name).to_string(), "sales_order/2026-11-23T13-05-00.123Z/manifest.json");
        let slice = Key::Slice { owner: owner.clone(), batch: name.clone(), number: 2 }.to_string();
        assert!(slice.starts_with(&Key::slices(&owner, &name)), "{slice}");
    }

    #[test]
    fn no_table_can_stand_where_states_stand() {
        let owner = Ident::new("_states").unwrap();
        let name = BatchName::new("b").unwrap();
        assert!(!Key::manifest(&owner, &name).to_string().starts_with(STATES));
    }

    proptest! {
        #[test]
        fn a_key_parses_back_to_itself(
            owner in "[a-zA-Z_ éß/%.'\"-]{1,20}",
            name in "[a-zA-Z0-9._!()=@+ /%:é-]{1,80}",
            number in 1u32..=999_999,
            attempt in "[a-z0-9]{1,12}",
            csv: bool,
        ) {
            let (owner, name) = (Ident::new(owner).unwrap(), BatchName::new(name).unwrap());
            let format = if csv { Format::Csv } else { Format::Parquet };
            for key in [
                Key::Part { owner: owner.clone(), batch: name.clone(), number, attempt: attempt.clone(), format },
                Key::Slice { owner: owner.clone(), batch: name.clone(), number },
                Key::manifest(&owner, &name),
                Key::State { batch: name.clone(), attempt },
            ] {
                let text = key.to_string();
                prop_assert_eq!(text.parse::<Key>().unwrap(), key, "{}", text);
            }
        }
    }
}
