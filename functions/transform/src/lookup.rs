//! A looked-up table in memory: its key, and the fields that some column is made of.

use std::borrow::Cow;
use std::collections::HashMap;

use catalog::message::TransformRequest;
use catalog::{Error, Fault, Result, Target};
use columnar::csv::Record;
use host::{Bucket, Host};

use crate::Sources;
use crate::program::JoinProgram;

pub(crate) struct Lookup {
    rows: HashMap<String, Vec<Option<String>>>,
}

impl Lookup {
    /// Reads the newest whole copy of the table.
    ///
    /// # Errors
    /// `Misconfigured` when it does not fit the function's memory.
    pub(crate) async fn read(
        host: &Host,
        request: &TransformRequest,
        target: &Target,
        join: &JoinProgram<'_>,
    ) -> Result<Self> {
        let memory_mb = target.sizing.memory_mb;
        // Parts, columns and Parquet pages need the other half.
        let budget = u64::from(memory_mb) * (1 << 20) / 2;
        let mut bytes = 0;
        let mut rows = HashMap::new();
        for source in Sources::of(host, request, join.table).await?.parts() {
            let body = host.lake.read_part(Bucket::Ingestion, &source.part).await?;
            let mut records = source.open(&body)?;
            let mut record = Record::default();
            while records.read(&mut record).map_err(|error| source.damaged(error))? {
                let text = |place| {
                    record.text(place).map(|text| text.map(Cow::into_owned)).map_err(|error| source.damaged(error))
                };
                let Some(key) = text(join.key_place)? else { continue };
                let fields = join.fields.iter().map(|field| text(field.place)).collect::<Result<Vec<_>>>()?;
                bytes += 64 + key.len() + fields.iter().flatten().map(|field| field.len() + 32).sum::<usize>();
                rows.insert(key, fields);
            }
            if bytes as u64 > budget {
                let what = format!(
                    "{} is looked up in memory and does not fit {memory_mb} MB: set memory_mb of {} higher",
                    join.table.name, target.name
                );
                return Err(Error::new(Fault::Misconfigured, what));
            }
        }
        Ok(Self { rows })
    }

    /// The fields of the row with that key, in the order of [`JoinProgram::fields`].
    pub(crate) fn get(&self, key: &str) -> Option<&[Option<String>]> {
        self.rows.get(key).map(Vec::as_slice)
    }
}
