//! Asks doubtful tables themselves how many of their rows were written since their last read.

use std::collections::BTreeMap;

use catalog::{Ident, Literal, Result, qualified};
use host::postgres::words;
use sqlx::{AssertSqlSafe, Decode, PgConnection, Postgres, Type};

use crate::capture::Doubt;

/// Of the doubtful tables those that hold a row at or after their horizon, with how many; or that cannot be asked at once
/// (locked, not readable), which are `None`: their own extraction finds out.
pub(crate) async fn touched(
    connection: &mut PgConnection,
    schema: &Ident,
    doubts: &[Doubt],
) -> BTreeMap<Ident, Option<u64>> {
    if doubts.is_empty() {
        return BTreeMap::new();
    }
    if let Some(answers) = ask::<i64>(connection, &question(schema, doubts)).await {
        let counted = doubts.iter().map(|doubt| doubt.table.clone()).zip(answers);
        return counted.filter(|(_, rows)| *rows > 0).map(|(table, rows)| (table, u64::try_from(rows).ok())).collect();
    }
    // One of them cannot be asked: each for itself, so that it does not take the others with it.
    let mut touched = BTreeMap::new();
    for doubt in doubts {
        let answer = ask::<i64>(connection, &question(schema, std::slice::from_ref(doubt))).await;
        let rows = answer.and_then(|answers| answers.first().copied());
        if rows != Some(0) {
            touched.insert(doubt.table.clone(), rows.and_then(|rows| u64::try_from(rows).ok()));
        }
    }
    touched
}

/// The newest value of each table's cursor, by its index; a table that is empty or cannot be asked at once is missing.
pub(crate) async fn newest(
    connection: &mut PgConnection,
    schema: &Ident,
    cursors: &[(Ident, Ident)],
) -> BTreeMap<Ident, String> {
    let mut newest = BTreeMap::new();
    for (table, cursor) in cursors {
        let query = format!("SELECT ARRAY[max({})::text] FROM {}", cursor.sql(), qualified(schema, table));
        let answer: Option<Vec<Option<String>>> = ask(connection, &query).await;
        if let Some(value) = answer.and_then(|values| values.into_iter().next().flatten()) {
            newest.insert(table.clone(), value);
        }
    }
    newest
}

/// How far back of the newest known value of a cursor a table is asked: transactions commit in another order than they set
/// it in.
const LOOK_BACK: &str = "1 hour";

/// Counted, and not merely looked for: a count is done by several processes at once, the look for a first row never is.
fn question(schema: &Ident, doubts: &[Doubt]) -> String {
    let count = |doubt: &Doubt| {
        let (table, since) = (qualified(schema, &doubt.table), doubt.horizon.written_since());
        let by_index = doubt.cursor.as_ref().map(|(column, newest)| {
            // Every date and time compares with an instant, by an index too; the session's time zone is UTC.
            let (column, newest) = (column.sql(), Literal(newest));
            format!("{column} >= {newest}::timestamptz - interval '{LOOK_BACK}' AND ")
        });
        format!("(SELECT count(*) FROM {table} WHERE {}{since})", by_index.unwrap_or_default())
    };
    format!("SELECT ARRAY[{}]", doubts.iter().map(count).collect::<Vec<_>>().join(", "))
}

async fn ask<T>(connection: &mut PgConnection, query: &str) -> Option<Vec<T>>
where
    Vec<T>: for<'r> Decode<'r, Postgres> + Type<Postgres> + Send + Unpin,
{
    // A plan does not queue behind somebody's lock; outside of a transaction SET LOCAL would be forgotten at once.
    let ask = async {
        sqlx::raw_sql("BEGIN; SET LOCAL lock_timeout = '200ms'").execute(&mut *connection).await?;
        let answer =
            sqlx::query_scalar(AssertSqlSafe(query.to_owned())).persistent(false).fetch_one(&mut *connection).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
        answer
    };
    let answer: Result<Vec<T>, sqlx::Error> = ask.await;
    answer.inspect_err(|error| tracing::info!("a table cannot be asked whether it changed: {}", words(error))).ok()
}

#[cfg(test)]
mod tests {
    use catalog::Horizon;
    use expect_test::expect;

    use super::*;

    #[test]
    fn tables_are_counted_in_one_statement() {
        let ident = |name: &str| Ident::new(name).unwrap();
        let doubt = |table: &str| Doubt { table: ident(table), horizon: Horizon::new((1 << 32) + 7), cursor: None };
        let by_index =
            Doubt { cursor: Some((ident("last_updated"), "2024-11-15 14:20:52.186".to_owned())), ..doubt("order") };
        let schema = ident("public");
        expect![[r#"SELECT ARRAY[(SELECT count(*) FROM "public"."thing" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303)), (SELECT count(*) FROM "public"."Größe ""2""" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303)), (SELECT count(*) FROM "public"."order" WHERE "last_updated" >= '2024-11-15 14:20:52.186'::timestamptz - interval '1 hour' AND (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303))]"#]].assert_eq(&question(&schema, &[doubt("thing"), doubt("Größe \"2\""), by_index]));
    }
}
