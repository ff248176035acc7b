//! A target's rows in a temporary table: Parquet in, binary COPY out.

use catalog::manifest::Part;
use catalog::{Error, Fault, Ident, Origin, ROW_VERSION, Result, Side, Source, Target, ToldKey, ValueType, qualified};
use columnar::parquet::Reader;
use columnar::{Column, Schema, copy};
use host::postgres::{classify, words};
use host::{Bucket, Host};
use ledger::statement::{execute, join, list, list_of};
use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, PgConnection};

/// Rows are encoded until a message to the server is about this large.
const MESSAGE_BYTES: usize = 256 << 10;
/// Rows encoded between two looks at the size.
const ROWS: usize = 512;

/// Why a copy ended early.
enum Failure {
    /// The lake, or a value without a binary form.
    Ours(Error),
    /// The server.
    Theirs(sqlx::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Theirs(error)
    }
}

/// A value that the server refuses.
struct RefusedValue {
    /// Which row of the copy, from 1.
    line: u64,
    column: String,
}

/// A temporary table; it ends with the transaction.
pub(crate) struct Stage<'s> {
    pub(crate) target: &'s Target,
    /// Its name in statements. Targets are numbered, because a prefix could make their names too long.
    pub(crate) name: String,
    /// The name of another one, of the turns in which rejected rows are loaded.
    pub(crate) turns: String,
    /// Rows copied into it.
    pub(crate) rows: u64,
}

impl<'s> Stage<'s> {
    /// The table of a target, not made yet.
    pub(crate) fn of(target: &'s Target, number: usize) -> Self {
        Self { target, name: format!("pg_temp.stage_{number}"), turns: format!("pg_temp.turns_{number}"), rows: 0 }
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
        match self.send(warehouse, host, parts, &doing).await {
            Ok(copied) if copied == self.rows => Ok(()),
            Ok(copied) => {
                let what = format!("{copied} rows of {} where the manifest says {}", self.target.name, self.rows);
                Err(Error::new(Fault::LakeCorrupt, what))
            }
            Err(Failure::Ours(error)) => Err(error),
            Err(Failure::Theirs(error)) => match self.refused_value(&error) {
                None => Err(classify(Side::Warehouse, &doing, error)),
                Some(refused) => {
                    let row = self.row_at(host, parts, refused.line).await?;
                    let what = format!("{doing}: {} of {row}: {}", refused.column, words(&error));
                    Err(Error::new(Fault::DataRejected, what))
                }
            },
        }
    }

    /// Copies the parts; how many rows the server took.
    async fn send(
        &self,
        warehouse: &mut PgConnection,
        host: &Host,
        parts: &[Part],
        doing: &str,
    ) -> std::result::Result<u64, Failure> {
        let mut sink = warehouse.copy_in_raw(&self.copy_in()).await?;
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
                        .map_err(|error| Error::because(Fault::DataRejected, doing, error))?;
                    if message.len() >= MESSAGE_BYTES {
                        sink.send(&message[..]).await?;
                        message.clear();
                    }
                }
            }
        }
        copy::end(&mut message);
        sink.send(&message[..]).await?;
        Ok(sink.finish().await?)
    }

    /// What the server says of a value that it refuses; `None` for an error of another kind. Its context names line and
    /// column, and in further lines the value, which nobody is told.
    fn refused_value(&self, error: &sqlx::Error) -> Option<RefusedValue> {
        let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        let name = self.name.strip_prefix("pg_temp.").unwrap_or(&self.name);
        let begin = format!("COPY {name}, line ");
        let place = error.r#where()?.lines().find_map(|line| line.strip_prefix(&begin))?;
        let (line, column) = place.split_once(", column ")?;
        Some(RefusedValue { line: line.parse().ok()?, column: column.to_owned() })
    }

    /// The row that the server counted as `line`, for people: by its key, and where that holds more than numbers and uuids
    /// by its place in the lake.
    async fn row_at(&self, host: &Host, parts: &[Part], line: u64) -> Result<String> {
        let mut before = 0;
        let Some(part) = parts.iter().find(|part| {
            before += part.rows;
            line <= before
        }) else {
            return Ok(format!("the row {line} of the batch"));
        };
        let schema = self.schema();
        let body = host.lake.read_part(Bucket::Processed, part).await?;
        let damaged = |error| Error::because(Fault::LakeCorrupt, format!("{} is damaged", part.key), error);
        let in_part = line - (before - part.rows);
        let mut row = usize::try_from(in_part - 1).unwrap_or(usize::MAX);
        for chunk in Reader::new(&body, &schema).map_err(damaged)? {
            let chunk = chunk.map_err(damaged)?;
            if row < chunk.len() {
                let texts: Vec<Option<String>> =
                    self.key_columns().map(|(place, _, value)| chunk.text(value, place, row)).collect();
                let parts =
                    self.key_columns().zip(&texts).map(|((_, name, value), text)| (name, value, text.as_deref()));
                let key = ToldKey::of(parts);
                let place = if key.is_whole() { String::new() } else { format!(", {in_part} in {}", part.key) };
                return Ok(format!("the row {key}{place}"));
            }
            row -= chunk.len();
        }
        Ok(format!("the row {line} of the batch"))
    }

    /// The columns of the key: place, name and type of each.
    fn key_columns(&self) -> impl Iterator<Item = (usize, &'s Ident, ValueType)> {
        let columns = &self.target.columns;
        self.target.key.iter().filter_map(|key| {
            let place = columns.iter().position(|column| column.name == *key)?;
            Some((place, &columns[place].name, columns[place].value))
        })
    }

    fn schema(&self) -> Schema {
        let columns =
            self.target.columns.iter().map(|column| Column { name: column.name.to_string(), value: column.value });
        Schema(columns.chain([Column { name: ROW_VERSION.to_owned(), value: ValueType::BigInt }]).collect())
    }

    /// A key that stands twice in one batch would be a change in every batch.
    pub(crate) async fn verify_key(&self, warehouse: &mut PgConnection, source: &Source) -> Result<()> {
        let twice: Vec<Vec<Option<String>>> =
            sqlx::query_scalar(AssertSqlSafe(self.doubled_keys())).fetch_all(warehouse).await.map_err(|error| {
                classify(Side::Warehouse, &format!("cannot check the key of {}", self.target.name), error)
            })?;
        if twice.is_empty() {
            return Ok(());
        }
        let key: Vec<&str> = self.target.key.iter().map(|column| column.as_str()).collect();
        let told: Vec<String> = twice
            .iter()
            .map(|texts| {
                let parts = self.key_columns().zip(texts);
                ToldKey::of(parts.map(|((_, name, value), text)| (name, value, text.as_deref()))).to_string()
            })
            .collect();
        let (name, key, told) = (&self.target.name, key.join(", "), told.join("; "));
        let which = self.asking_source(source).map(|asked| format!("; ask the source: {asked}")).unwrap_or_default();
        let what = format!("the key ({key}) of {name} is not unique in its source: {told}{which}");
        Err(Error::new(Fault::DataRejected, what))
    }

    /// The question to the source which keys stand twice.
    fn asking_source(&self, source: &Source) -> Option<String> {
        let Origin::Table(derivation) = &self.target.origin else { return None };
        let table = &derivation.table;
        let key = list(table.key.iter().map(|key| &key.column.name));
        let table = qualified(&source.schema, &table.name);
        Some(format!("SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1"))
    }

    /// The target's columns that it had not at the last load. A key that is new makes every row a new one.
    pub(crate) fn gained(&self, before: Option<&[String]>) -> Vec<&'s Ident> {
        let Some(before) = before else { return Vec::new() };
        let columns = self.target.columns.iter().map(|column| &column.name);
        let gained: Vec<&Ident> = columns.filter(|name| !before.iter().any(|known| known == name.as_str())).collect();
        if gained.iter().any(|name| self.target.key.contains(name)) { Vec::new() } else { gained }
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
        let key = list_of("s", &self.target.key);
        let texts = join(&self.target.key, ", ", |column| format!("s.{column}::text"));
        format!(
            "SELECT ARRAY[{texts}] FROM {} AS s GROUP BY {key} HAVING count(*) > 1 ORDER BY {key} LIMIT 3",
            self.name
        )
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
        expect![[r#"SELECT ARRAY[s."left %"::text, s."right ""hand"""::text] FROM pg_temp.stage_2 AS s GROUP BY s."left %", s."right ""hand""" HAVING count(*) > 1 ORDER BY s."left %", s."right ""hand""" LIMIT 3"#]].assert_eq(&stage.doubled_keys());
    }
}
