//! Statements as the model sends them: whole scripts, without a value that is bound.

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

/// Runs statements that answer nothing.
pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.map(|_| ()).with_context(|| sql.to_owned())
}

/// The values of a query's only column, as text; `NULL` for null.
pub(crate) async fn column(connection: &mut PgConnection, query: &str) -> Result<Vec<String>> {
    let query = format!("SELECT coalesce(q::text, 'NULL') FROM ({query}) AS asked (q)");
    let answer = sqlx::query_scalar(AssertSqlSafe(query.clone())).fetch_all(connection).await;
    answer.with_context(|| query)
}

/// The only value of a query, as text.
pub(crate) async fn ask(connection: &mut PgConnection, query: &str) -> Result<String> {
    let answer = column(connection, query).await?;
    answer.into_iter().next().with_context(|| format!("{query} answers no row"))
}

/// Statements over a connection of their own.
pub(crate) async fn once(options: &PgConnectOptions, sql: &str) -> Result<()> {
    let mut connection = options.connect().await.context("cannot connect")?;
    execute(&mut connection, sql).await
}

/// One value over a connection of its own.
pub(crate) async fn ask_once(options: &PgConnectOptions, query: &str) -> Result<String> {
    let mut connection = options.connect().await.context("cannot connect")?;
    ask(&mut connection, query).await
}
