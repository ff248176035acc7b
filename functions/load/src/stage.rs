//! A target's rows in a temporary table: Parquet in, binary COPY out.

use catalog::manifest::Part;
use catalog::{Error, Fault, ROW_VERSION, Result, Side, Target, ValueType};
use columnar::parquet::Reader;
use columnar::{Column, Schema, copy};
use host::postgres::classify;
use host::{Bucket, Host};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::execute;

/// Rows are encoded until a message to the server is about this large.
const MESSAGE_BYTES: usize = 256 << 10;
/// Rows encoded between two looks at the size.
const ROWS: usize = 512;

/// A filled temporary table; it ends with the transaction.
pub(crate) struct Stage<'s> {
    pub(crate) target: &'s Target,
    /// Its name. Targets are numbered, because a prefix could make their names too long.
    pub(crate) name: String,
    pub(crate) rows: u64,
}

impl<'s> Stage<'s> {
    /// Makes the table and copies the parts into it.
    pub(crate) async fn fill(
        warehouse: &mut PgConnection,
        host: &Host,
        target: &'s Target,
        number: usize,
        parts: &[Part],
    ) -> Result<Self> {
        let name = format!("pg_temp.stage_{number}");
        let columns: String = target
            .columns
            .iter()
            .map(|column| format!("{} {}, ", column.name.sql(), column.value.stage_sql()))
            .collect();
        let create =
            format!("CREATE TEMPORARY TABLE stage_{number} ({columns}\"{ROW_VERSION}\" bigint) ON COMMIT DROP");
        execute(warehouse, "cannot create a temporary table", create).await?;
        let stage = Self { target, name, rows: parts.iter().map(|part| part.rows).sum() };
        if stage.rows > 0 {
            stage.copy(warehouse, host, parts).await?;
        }
        Ok(stage)
    }

    async fn copy(&self, warehouse: &mut PgConnection, host: &Host, parts: &[Part]) -> Result<()> {
        let doing = format!("cannot copy the rows of {}", self.target.name);
        let failed = |error| classify(Side::Warehouse, &doing, error);
        let statement = format!("COPY {} FROM STDIN WITH (FORMAT binary)", self.name);
        let mut sink = warehouse.copy_in_raw(&statement).await.map_err(failed)?;
        let schema = self.schema();
        let mut message = Vec::with_capacity(MESSAGE_BYTES * 2);
        copy::begin(&mut message);
        for part in parts {
            let body = host.lake.read_part(Bucket::Processed, part).await?;
            let damaged = |error| Error::because(Fault::LakeCorrupt, format!("{} is damaged", part.key), error);
            for chunk in Reader::new(&body, &schema).map_err(damaged)? {
                let chunk = chunk.map_err(damaged)?;
                for first in (0..chunk.len()).step_by(ROWS) {
                    let rows = first..chunk.len().min(first + ROWS);
                    copy::encode(&schema, &chunk, rows, &mut message)
                        .map_err(|error| Error::because(Fault::DataRejected, doing.clone(), error))?;
                    if message.len() >= MESSAGE_BYTES {
                        sink.send(&message[..]).await.map_err(failed)?;
                        message.clear();
                    }
                }
            }
        }
        copy::end(&mut message);
        sink.send(&message[..]).await.map_err(failed)?;
        let copied = sink.finish().await.map_err(failed)?;
        if copied == self.rows {
            Ok(())
        } else {
            let what = format!("{} rows of {} where the manifest says {}", copied, self.target.name, self.rows);
            Err(Error::new(Fault::LakeCorrupt, what))
        }
    }

    fn schema(&self) -> Schema {
        let columns =
            self.target.columns.iter().map(|column| Column { name: column.name.to_string(), value: column.value });
        Schema(columns.chain([Column { name: ROW_VERSION.to_owned(), value: ValueType::BigInt }]).collect())
    }

    /// A key that stands twice in one batch would be a change in every batch.
    pub(crate) async fn verify_key(&self, warehouse: &mut PgConnection) -> Result<()> {
        let key = self.key_text("s");
        let query = format!("SELECT {key} FROM {} AS s GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 3", self.name);
        let twice: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(warehouse).await.map_err(|error| {
                classify(Side::Warehouse, &format!("cannot check the key of {}", self.target.name), error)
            })?;
        if twice.is_empty() {
            return Ok(());
        }
        let what = format!("the key of {} is not unique in its source: {}", self.target.name, twice.join("; "));
        Err(Error::new(Fault::DataRejected, what))
    }

    /// The source key as one text, as `etl.reject` holds it.
    pub(crate) fn key_text(&self, alias: &str) -> String {
        let columns: Vec<String> = self.target.key.iter().map(|key| format!("{alias}.{}", key.sql())).collect();
        format!("concat_ws(',', {})", columns.join(", "))
    }
}
