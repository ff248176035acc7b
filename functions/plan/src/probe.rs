//! Asks doubtful tables themselves whether they changed.

use std::collections::BTreeSet;

use catalog::{Ident, Literal, Result, qualified};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::capture::Doubt;

/// A table up to this size is asked itself: 64 MiB are read in some hundredths of a second. Of a larger one its counters
/// decide.
const ASK_BELOW_BYTES: i64 = 64 << 20;

/// Of the doubtful tables those that hold a row at or after their horizon, or that cannot be asked at once (locked, not
/// readable): their own extraction finds out.
pub(crate) async fn touched(connection: &mut PgConnection, schema: &Ident, doubts: &[Doubt]) -> BTreeSet<Ident> {
    if doubts.is_empty() {
        return BTreeSet::new();
    }
    let together = doubts.iter().map(|doubt| question(schema, doubt)).collect::<Vec<_>>().join(", ");
    if let Some(answers) = ask(connection, &format!("SELECT ARRAY[{together}]")).await {
        return doubts
            .iter()
            .zip(answers)
            .filter(|(_, touched)| *touched)
            .map(|(doubt, _)| doubt.table.clone())
            .collect();
    }
    // One of them cannot be asked: each for itself, so that it does not take the others with it.
    let mut touched = BTreeSet::new();
    for doubt in doubts {
        let answer = ask(connection, &format!("SELECT ARRAY[{}]", question(schema, doubt))).await;
        if answer.is_none_or(|answers| answers.contains(&true)) {
            touched.insert(doubt.table.clone());
        }
    }
    touched
}

fn question(schema: &Ident, doubt: &Doubt) -> String {
    let table = qualified(schema, &doubt.table);
    format!(
        "CASE WHEN pg_relation_size({}::regclass) <= {ASK_BELOW_BYTES} THEN EXISTS (SELECT FROM {table} WHERE {}) ELSE {} END",
        Literal(&table),
        doubt.horizon.written_since(),
        doubt.moved,
    )
}

async fn ask(connection: &mut PgConnection, query: &str) -> Option<Vec<bool>> {
    // A plan does not queue behind somebody's lock; outside of a transaction SET LOCAL would be forgotten at once.
    let ask = async {
        sqlx::raw_sql("BEGIN; SET LOCAL lock_timeout = '200ms'").execute(&mut *connection).await?;
        let answer =
            sqlx::query_scalar(AssertSqlSafe(query.to_owned())).persistent(false).fetch_one(&mut *connection).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
        answer
    };
    let answer: Result<Vec<bool>, sqlx::Error> = ask.await;
    answer.inspect_err(|error| tracing::info!("a table cannot be asked whether it changed: {error}")).ok()
}
