//! How a statement is run in the warehouse, and the lists of columns that statements are made of.

use catalog::{Ident, Result, Side};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// Runs statements that answer nothing. `doing` says what fails with them: `cannot commit`.
pub async fn execute(warehouse: &mut PgConnection, doing: &str, sql: impl Into<String>) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(warehouse).await;
    done.map(|_| ()).map_err(|error| classify(Side::Warehouse, doing, error))
}

/// Runs a statement; how many rows it wrote.
pub async fn rows_written(warehouse: &mut PgConnection, doing: &str, sql: String) -> Result<u64> {
    let done = sqlx::query(AssertSqlSafe(sql)).execute(warehouse).await;
    done.map(|done| done.rows_affected()).map_err(|error| classify(Side::Warehouse, doing, error))
}

/// Runs a statement that answers one row of counts.
pub async fn counts<const N: usize>(warehouse: &mut PgConnection, doing: &str, sql: String) -> Result<[u64; N]> {
    let failed = |error| classify(Side::Warehouse, doing, error);
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(warehouse).await.map_err(failed)?;
    let mut counts = [0; N];
    for (place, count) in counts.iter_mut().enumerate() {
        *count = u64::try_from(row.try_get::<i64, _>(place).map_err(failed)?).unwrap_or_default();
    }
    Ok(counts)
}

/// `"a", "b"`.
pub fn list<'n>(names: impl IntoIterator<Item = &'n Ident>) -> String {
    join(names, ", ", |name| name.to_owned())
}

/// `s."a", s."b"`.
pub fn list_of<'n>(alias: &str, names: impl IntoIterator<Item = &'n Ident>) -> String {
    join(names, ", ", |name| format!("{alias}.{name}"))
}

/// What `print` makes of every quoted name, with something between them.
pub fn join<'n>(names: impl IntoIterator<Item = &'n Ident>, between: &str, print: impl Fn(&str) -> String) -> String {
    let printed: Vec<String> = names.into_iter().map(|name| print(&name.sql().to_string())).collect();
    printed.join(between)
}
