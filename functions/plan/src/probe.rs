//! Asks doubtful tables themselves how many of their rows were written since their last read.

use std::collections::BTreeMap;

use catalog::{Ident, Result, qualified};
use sqlx::{AssertSqlSafe, PgConnection};

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
    if let Some(answers) = ask(connection, &question(schema, doubts)).await {
        let counted = doubts.iter().map(|doubt| doubt.table.clone()).zip(answers);
        return counted.filter(|(_, rows)| *rows > 0).map(|(table, rows)| (table, u64::try_from(rows).ok())).collect();
    }
    // One of them cannot be asked: each for itself, so that it does not take the others with it.
    let mut touched = BTreeMap::new();
    for doubt in doubts {
        let answer = ask(connection, &question(schema, std::slice::from_ref(doubt))).await;
        let rows = answer.and_then(|answers| answers.first().copied());
        if rows != Some(0) {
            touched.insert(doubt.table.clone(), rows.and_then(|rows| u64::try_from(rows).ok()));
        }
    }
    touched
}

/// Counted, and not merely looked for: a count is done by several processes at once, the look for a first row never is.
fn question(schema: &Ident, doubts: &[Doubt]) -> String {
    let count = |doubt: &Doubt| {
        let (table, since) = (qualified(schema, &doubt.table), doubt.horizon.written_since());
        format!("(SELECT count(*) FROM {table} WHERE {since})")
    };
    format!("SELECT ARRAY[{}]", doubts.iter().map(count).collect::<Vec<_>>().join(", "))
}

async fn ask(connection: &mut PgConnection, query: &str) -> Option<Vec<i64>> {
    // A plan does not queue behind somebody's lock; outside of a transaction SET LOCAL would be forgotten at once.
    let ask = async {
        sqlx::raw_sql("BEGIN; SET LOCAL lock_timeout = '200ms'").execute(&mut *connection).await?;
        let answer =
            sqlx::query_scalar(AssertSqlSafe(query.to_owned())).persistent(false).fetch_one(&mut *connection).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
        answer
    };
    let answer: Result<Vec<i64>, sqlx::Error> = ask.await;
    answer.inspect_err(|error| tracing::info!("a table cannot be asked whether it changed: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use catalog::Horizon;
    use expect_test::expect;

    use super::*;

    #[test]
    fn tables_are_counted_in_one_statement() {
        let doubt = |table: &str| Doubt { table: Ident::new(table).unwrap(), horizon: Horizon::new((1 << 32) + 7) };
        let schema = Ident::new("public").unwrap();
        expect![[r#"SELECT ARRAY[(SELECT count(*) FROM "public"."thing" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303)), (SELECT count(*) FROM "public"."Größe ""2""" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303))]"#]].assert_eq(&question(&schema, &[doubt("thing"), doubt("Größe \"2\"")]));
    }
}
