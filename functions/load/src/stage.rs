//! A target's rows in a temporary table: Parquet in, binary COPY out.

use catalog::manifest::Part;
use catalog::{Error, Fault, Ident, ROW_VERSION, Result, Side, Target, ValueType};
use columnar::parquet::Reader;
use columnar::{Column, Schema, copy};
use host::postgres::classify;
use host::{Bucket, Host};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::statement::{execute, list_of};

/// Rows are encoded until a message to the server is about this large.
const MESSAGE_BYTES: usize = 256 << 10;
/// Rows encoded between two looks at the size.
const ROWS: usize = 512;

/// A temporary table; it ends with the transaction.
pub(crate) struct Stage<'s> {
    pub(crate) target: &'s Target,
    /// Its name in statements. Targets are numbered, because a prefix could make their names too long.
    pub(crate) name: String,
    /// Rows copied into it.
    pub(crate) rows: u64,
}

impl<'s> Stage<'s> {
    /// The table of a target, not made yet.
    pub(crate) fn of(target: &'s Target, number: usize) -> Self {
        Self { target, name: format!("pg_temp.stage_{number}"), rows: 0 }
    }

    /// Makes the table and copies the parts into it.
    pub(crate) async fn fill(mut self, warehouse: &mut PgConnection, host: &Host, parts: &[Part]) -> Result<Self> {
        execute(warehouse, "cannot create a temporary table", self.create()).await?;
        self.rows = parts.iter().map(|part| part.rows).sum();
        if self.rows > 0 {
            self.copy(warehouse, host, parts).await?;
        }
        Ok(self)
    }

    async fn copy(&self, warehouse: &mut PgConnection, host: &Host, parts: &[Part]) -> Result<()> {
        let doing = format!("cannot copy the rows of {}", self.target.name);
        let failed = |error| classify(Side::Warehouse, &doing, error);
        let mut sink = warehouse.copy_in_raw(&self.copy_in()).await.map_err(failed)?;
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
        let twice: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(self.doubled_keys())).fetch_all(warehouse).await.map_err(|error| {
                classify(Side::Warehouse, &format!("cannot check the key of {}", self.target.name), error)
            })?;
        if twice.is_empty() {
            return Ok(());
        }
        let key: Vec<&str> = self.target.key.iter().map(|column| column.as_str()).collect();
        let (name, key, twice) = (&self.target.name, key.join(", "), twice.join("; "));
        let what = format!("the key ({key}) of {name} is not unique in its source: {twice}");
        Err(Error::new(Fault::DataRejected, what))
    }

    /// The target's columns. The stage has one more, the row version.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'s Ident> + use<'s> {
        self.target.columns.iter().map(|column| &column.name)
    }

    /// The source key as one text, as the ledger holds it.
    pub(crate) fn key_text(&self, alias: &str) -> String {
        format!("concat_ws(',', {})", list_of(alias, &self.target.key))
    }

    fn create(&self) -> String {
        let columns = self.target.columns.iter();
        let columns: String =
            columns.map(|column| format!("{} {}, ", column.name.sql(), column.value.stage_sql())).collect();
        format!("CREATE TEMPORARY TABLE {} ({columns}\"{ROW_VERSION}\" bigint) ON COMMIT DROP", self.name)
    }

    fn copy_in(&self) -> String {
        format!("COPY {} FROM STDIN WITH (FORMAT binary)", self.name)
    }

    fn doubled_keys(&self) -> String {
        let key = self.key_text("s");
        format!("SELECT {key} FROM {} AS s GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 3", self.name)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    #[test]
    fn a_stage_is_made_filled_and_checked() {
        let catalog = catalog();
        let stage = Stage::of(&catalog.warehouse.targets[2], 2);
        expect![[r#"CREATE TEMPORARY TABLE pg_temp.stage_2 ("left %" integer, "right ""hand""" text, "s" integer, "d0" integer, "c" integer, "reason" text, "known" text, "_xmin" bigint) ON COMMIT DROP"#]].assert_eq(&stage.create());
        expect!["COPY pg_temp.stage_2 FROM STDIN WITH (FORMAT binary)"].assert_eq(&stage.copy_in());
        expect![[r#"SELECT concat_ws(',', s."left %", s."right ""hand""") FROM pg_temp.stage_2 AS s GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 3"#]].assert_eq(&stage.doubled_keys());
    }
}
