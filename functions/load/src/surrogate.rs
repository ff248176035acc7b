//! The sequence that a fact's surrogate key comes from: behind its table (rows that were put back, or copied with their keys),
//! it gives a new version a key that is taken, or one that is lower than those of older versions.

use catalog::{Error, Fault, Ident, Literal, Result, Side, qualified};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// Asks for the sequence of a column, `$3` of the table `$2` in the schema `$1`: an identity's, or the one that its default
/// takes from. A key that is no integer is none of ours to order. What may not be read, and what counts down, is left alone.
/// The place before the first number counts as where one that was never used stands.
const LOOK: &str = "SELECT s.oid::bigint AS relation, n.nspname::text AS schema, s.relname::text AS name,
        has_sequence_privilege(s.oid, 'UPDATE') AS may_set,
        coalesce(pg_sequence_last_value(s.oid::regclass), q.seqstart - 1) AS stands,
        EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                 WHERE i.indrelid = t.oid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree') AS is_indexed
   FROM pg_class t
   JOIN pg_namespace tn ON tn.oid = t.relnamespace
   JOIN pg_attribute a ON a.attrelid = t.oid AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
   JOIN LATERAL (SELECT d.objid AS oid FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
                    AND d.refobjsubid = a.attnum AND d.deptype = 'i' AND a.attidentity <> ''
                  UNION
                 SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
                  WHERE f.adrelid = t.oid AND f.adnum = a.attnum AND d.refclassid = 'pg_class'::regclass) AS o ON true
   JOIN pg_class s ON s.oid = o.oid AND s.relkind = 'S'
   JOIN pg_namespace n ON n.oid = s.relnamespace
   JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
  WHERE tn.nspname = $1 AND t.relname = $2 AND a.attname = $3
    AND CASE WHEN s.relkind = 'S' THEN has_sequence_privilege(s.oid, 'USAGE') OR has_sequence_privilege(s.oid, 'SELECT') END";

/// Puts the sequence of a fact's surrogate key right where it is behind its table, and says so; that stays done when the
/// load fails, and costs numbers alone. Without an index that leads with the key the whole table would have to be read:
/// it is where the table is not the one of the last load (`is_known`).
///
/// # Errors
/// `Warehouse.AccessDenied` with the statement to run where the role may not set it, else what the warehouse answers.
pub(crate) async fn put_right(
    warehouse: &mut PgConnection,
    schema: &Ident,
    fact: &Ident,
    key: &Ident,
    is_known: bool,
) -> Result<Option<String>> {
    let doing = format!("cannot look at the sequence of {fact}.{key}");
    let failed = |error| classify(Side::Warehouse, &doing, error);
    let asked = sqlx::query(LOOK).bind(schema.as_str()).bind(fact.as_str()).bind(key.as_str());
    let Some(row) = asked.fetch_optional(&mut *warehouse).await.map_err(failed)? else { return Ok(None) };
    let is = |column: &str| row.try_get::<bool, _>(column).map_err(failed);
    if is_known && !is("is_indexed")? {
        return Ok(None);
    }
    let highest = sqlx::query_scalar(AssertSqlSafe(asking_highest(schema, fact, key)));
    let highest: Option<i64> = highest.fetch_one(&mut *warehouse).await.map_err(failed)?;
    let stands: i64 = row.try_get("stands").map_err(failed)?;
    let Some(highest) = highest.filter(|highest| *highest > stands) else { return Ok(None) };
    let ident = |column: &str| -> Result<Ident> {
        let name: String = row.try_get(column).map_err(failed)?;
        Ident::new(&name)
            .map_err(|error| Error::because(Fault::Bug, "the server has a name that it cannot have", error))
    };
    let (of, name) = (ident("schema")?, ident("name")?);
    let what = format!("{fact}.{key} has {highest} where its sequence {name} stands at {stands}");
    if !is("may_set")? {
        let statement = format!("SELECT setval({}, {highest})", Literal(&qualified(&of, &name)));
        let what = format!("{what}, and the role may not set it: let its owner run {statement}");
        return Err(Error::new(Fault::WarehouseAccessDenied, what));
    }
    let relation: i64 = row.try_get("relation").map_err(failed)?;
    let set = sqlx::query("SELECT setval($1::oid::regclass, $2)").bind(relation).bind(highest);
    set.execute(warehouse).await.map_err(failed)?;
    Ok(Some(format!("{what}: it goes on from there")))
}

fn asking_highest(schema: &Ident, fact: &Ident, key: &Ident) -> String {
    format!("SELECT max({})::bigint FROM {}", key.sql(), qualified(schema, fact))
}

#[cfg(test)]
mod tests {
    use catalog::TargetKind;
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    #[test]
    fn the_highest_key_is_asked_for() {
        let catalog = catalog();
        let fact = &catalog.warehouse.targets[2];
        let TargetKind::Fact { surrogate_key } = &fact.kind else { panic!("{} is a fact", fact.name) };
        expect![[r#"SELECT max("n o")::bigint FROM "the ""star"""."fact ""pair""""#]].assert_eq(&asking_highest(
            &catalog.warehouse.schema,
            &fact.name,
            surrogate_key,
        ));
    }
}
