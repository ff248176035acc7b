//! Rows whose dimension is missing (R6): deferred where the next batch brings them again, else rejected with the reason.

use catalog::{Batch, Catalog, Ident, Literal, Reference, Result, Target, Window, qualified};
use ledger::statement::counts;
use ledger::{Missing, Rejects};
use sqlx::PgConnection;

use crate::stage::Stage;

/// The rows that were taken off a stage because their dimension is missing.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// All of them.
    pub(crate) rows: u64,
    /// Of them, those that the next batch brings again.
    pub(crate) deferred: u64,
    /// Of the others, those not rejected before, or with another content.
    pub(crate) rejected: u64,
}

/// Takes rows off the stage whose dimension is missing. Those written in the window of the target's read are deferred; the
/// others are rejected.
pub(crate) async fn take(
    warehouse: &mut PgConnection,
    stage: &Stage<'_>,
    missing: &Missing,
    rejects: &Rejects<'_>,
    batch: &Batch,
    window: Option<Window>,
) -> Result<Taken> {
    let doing = format!("cannot check the references of {}", stage.target.name);
    let [rows, deferred, rejected] = counts(warehouse, &doing, taking(stage, missing, rejects, batch, window)).await?;
    Ok(Taken { rows, deferred, rejected })
}

/// How a row is told whose dimension is missing; `None` for a target that refers to nothing.
///
/// Outer joins and not `NOT EXISTS`: a dimension may be larger than a hashed subplan may be, and has no index yet when it was
/// filled in this very transaction.
pub(crate) fn missing(catalog: &Catalog, target: &Target) -> Option<Missing> {
    let (mut joins, mut conditions, mut reasons, mut lacks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, (column, reference)) in target.references().enumerate() {
        let dimension = &reference.dimension;
        let (name, key) = (column.name.sql(), reference.key.sql());
        let dimension_table = qualified(&catalog.warehouse.schema, dimension);
        joins.push(format!("LEFT JOIN {dimension_table} AS d{number} ON d{number}.{key} = s.{name}"));
        let missing = format!("(s.{name} IS NOT NULL AND d{number}.{key} IS NULL)");
        let before = Literal(&format!("{} ", column.name)).to_string();
        let after = Literal(&format!(" is not in {dimension}")).to_string();
        reasons.push(format!("CASE WHEN {missing} THEN {before} || s.{name} || {after} END"));
        let lack = Literal(&format!("{} is not in {dimension}", column.name)).to_string();
        lacks.push(format!("CASE WHEN {missing} THEN {lack} END"));
        conditions.push(missing);
    }
    let each = |sentences: Vec<String>| format!("concat_ws('; ', {})", sentences.join(", "));
    (!conditions.is_empty()).then(|| Missing {
        joins: joins.join(" "),
        condition: conditions.join(" OR "),
        reason: each(reasons),
        lack: each(lacks),
    })
}

/// What refers to nothing in a dimension, a sentence for each column of these facts that has such rows.
pub(crate) async fn dangling(
    warehouse: &mut PgConnection,
    catalog: &Catalog,
    dimension: &Target,
    facts: &[&Target],
) -> Result<Vec<String>> {
    let (doing, mut told) = (format!("cannot look for what refers to {}", dimension.name), Vec::new());
    for fact in facts {
        for (column, reference) in fact.references().filter(|(_, to)| to.dimension == dimension.name) {
            let statement = counting_dangling(catalog, fact, &column.name, reference);
            let [rows] = counts(warehouse, &doing, statement).await?;
            if rows > 0 {
                let refer = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
                let verb = if rows == 1 { "refers" } else { "refer" };
                told.push(format!(
                    "{refer} of {} {verb} by {} to what is not in {}, which was made anew from what the source still has",
                    fact.name, column.name, dimension.name
                ));
            }
        }
    }
    Ok(told)
}

fn counting_dangling(catalog: &Catalog, fact: &Target, column: &Ident, reference: &Reference) -> String {
    let (schema, name, key) = (&catalog.warehouse.schema, column.sql(), reference.key.sql());
    format!(
        "SELECT count(*) FROM {} AS s LEFT JOIN {} AS d ON d.{key} = s.{name} WHERE s.{name} IS NOT NULL AND d.{key} IS NULL",
        qualified(schema, &fact.name),
        qualified(schema, &reference.dimension),
    )
}

/// What is kept of a row is made before the row is deleted, so that no name of a column stands beside one of ours.
fn taking(
    stage: &Stage<'_>,
    missing: &Missing,
    rejects: &Rejects<'_>,
    batch: &Batch,
    window: Option<Window>,
) -> String {
    let Missing { joins, condition, reason, .. } = missing;
    format!(
        "WITH missing AS (
             SELECT s.ctid AS place, {key} AS source_key, {reason} AS reason, {deferred} AS deferred, {row} AS target_row
               FROM {stage} AS s {joins} WHERE {condition}),
         taken AS (DELETE FROM {stage} AS s USING missing AS m WHERE s.ctid = m.place
                   RETURNING m.*),
         rejected AS (SELECT * FROM taken WHERE NOT deferred),
         {entering}
         SELECT count(*), count(*) FILTER (WHERE deferred), (SELECT count(*) FROM entered) FROM taken",
        key = rejects.key("s"),
        deferred = window.map_or_else(|| "false".to_owned(), |window| window.holds_staged("s")),
        row = rejects.row("s"),
        stage = stage.name,
        entering = rejects.entering_from("rejected", batch),
    )
}

#[cfg(test)]
mod tests {
    use catalog::Horizon;
    use expect_test::expect;
    use ledger::Ledger;

    use super::*;
    use crate::samples::{batch, catalog};

    #[test]
    fn rows_without_their_dimension_are_taken_in_one_statement() {
        let catalog = catalog();
        let ledger = Ledger::of(&catalog);
        let fact = &catalog.warehouse.targets[2];
        let (stage, rejects) = (Stage::of(fact, 2), ledger.rejects(fact));
        let missing = missing(&catalog, fact).expect("it has references");
        expect![[r#"LEFT JOIN "the ""star"""."dim 'thing'" AS d0 ON d0."the id" = s."s" LEFT JOIN "the ""star"""."dim 'thing'" AS d1 ON d1."the id" = s."d0" LEFT JOIN "the ""star"""."dim_bare" AS d2 ON d2."s" = s."c""#]].assert_eq(&missing.joins);
        expect![[r#"(s."s" IS NOT NULL AND d0."the id" IS NULL) OR (s."d0" IS NOT NULL AND d1."the id" IS NULL) OR (s."c" IS NOT NULL AND d2."s" IS NULL)"#]].assert_eq(&missing.condition);
        expect![[r#"concat_ws('; ', CASE WHEN (s."s" IS NOT NULL AND d0."the id" IS NULL) THEN 's ' || s."s" || ' is not in dim ''thing''' END, CASE WHEN (s."d0" IS NOT NULL AND d1."the id" IS NULL) THEN 'd0 ' || s."d0" || ' is not in dim ''thing''' END, CASE WHEN (s."c" IS NOT NULL AND d2."s" IS NULL) THEN 'c ' || s."c" || ' is not in dim_bare' END)"#]].assert_eq(&missing.reason);
        let window = Window { from: Horizon::new((1 << 32) + 700), until: Horizon::new((1 << 32) + 710) };
        let statement = taking(&stage, &missing, &rejects, &batch(), Some(window));
        // What is held where it is built.
        let told = [&missing.joins, &missing.condition, &missing.reason];
        let statement = told.into_iter().fold(statement, |statement, part| statement.replace(part.as_str(), "…"));
        let statement =
            statement.replace(&rejects.entering_from("rejected", &batch()), "…").replace(&rejects.row("s"), "…");
        expect![[r#"
            WITH missing AS (
                         SELECT s.ctid AS place, ARRAY[s."left %"::text, CASE WHEN octet_length(s."right ""hand"""::text) > 1000 THEN left(s."right ""hand"""::text, 233) || '...' || encode(sha256(convert_to(s."right ""hand"""::text, 'UTF8')), 'hex') ELSE s."right ""hand"""::text END] AS source_key, … AS reason, coalesce((s."_xmin" - 700 + 4294967296) % 4294967296 < 10, false) AS deferred, … AS target_row
                           FROM pg_temp.stage_2 AS s … WHERE …),
                     taken AS (DELETE FROM pg_temp.stage_2 AS s USING missing AS m WHERE s.ctid = m.place
                               RETURNING m.*),
                     rejected AS (SELECT * FROM taken WHERE NOT deferred),
                     …
                     SELECT count(*), count(*) FILTER (WHERE deferred), (SELECT count(*) FROM entered) FROM taken"#]].assert_eq(&statement);
        let of_no_window = taking(&stage, &missing, &rejects, &batch(), None);
        assert!(of_no_window.contains("false AS deferred"), "{of_no_window}");
    }

    #[test]
    fn what_refers_to_nothing_is_counted() {
        let catalog = catalog();
        let fact = &catalog.warehouse.targets[2];
        let (column, reference) = fact.references().next().expect("it has references");
        expect![[r#"SELECT count(*) FROM "the ""star"""."fact ""pair""" AS s LEFT JOIN "the ""star"""."dim 'thing'" AS d ON d."the id" = s."s" WHERE s."s" IS NOT NULL AND d."the id" IS NULL"#]].assert_eq(&counting_dangling(&catalog, fact, &column.name, reference));
    }

    #[test]
    fn what_refers_to_nothing_misses_nothing() {
        let catalog = catalog();
        assert_eq!(missing(&catalog, &catalog.warehouse.targets[0]), None);
    }
}
