//! What changes the rows of a table, or what is seen of them, without a transaction id of its own: known by a digest (R1).

use std::collections::BTreeMap;

use catalog::{Ident, Result, Side, Source};
use sqlx::{PgConnection, Row as _};

use super::classify;

/// By table of the source a digest of: the oids and files of the table and of every partition and child; number, type and
/// missing value of every mapped column; the labels of its enumerations; what a column is generated from; rules, a view's definition among them; row
/// security. A column that is not mapped does not matter. A table that does not exist is missing.
///
/// - A partition that is attached, a table that inherits or that took another's name, and TRUNCATE or a rewrite: oids, files.
/// - A column that took another's name, or was dropped and added with a default: numbers, missing values.
///
/// # Errors
/// What the database answers.
pub async fn fingerprints(connection: &mut PgConnection, source: &Source) -> Result<BTreeMap<Ident, String>> {
    let failed = |error| classify(Side::Source, "cannot read the source's catalogue", error);
    let mapped = source.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let (tables, columns): (Vec<&str>, Vec<&str>) =
        mapped.map(|(table, column)| (table.name.as_str(), column.name.as_str())).unzip();
    let rows = sqlx::query(QUERY)
        .bind(source.schema.as_str())
        .bind(tables)
        .bind(columns)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let mut fingerprints = BTreeMap::new();
    for row in rows {
        let name: String = row.try_get("name").map_err(failed)?;
        if let Some(table) = source.tables.iter().find(|table| table.name.as_str() == name) {
            fingerprints.insert(table.name.clone(), row.try_get("fingerprint").map_err(failed)?);
        }
    }
    Ok(fingerprints)
}

/// `$1` the schema; `$2` and `$3` the table and the name of each mapped column.
const QUERY: &str = "
    WITH RECURSIVE wanted AS (
        SELECT tab, col FROM unnest($2::text[], $3::text[]) AS w (tab, col)),
    family AS (
        SELECT c.relname::text AS root, c.oid AS member
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname::text IN (SELECT tab FROM wanted)
        UNION
        SELECT f.root, i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.member),
    columns AS (
        SELECT f.root, f.member, a.attnum, a.attname, a.atttypid, a.atttypmod, a.atthasmissing, a.attmissingval::text AS missing
          FROM family f
          JOIN wanted w ON w.tab = f.root
          JOIN pg_attribute a ON a.attrelid = f.member AND a.attname::text = w.col AND NOT a.attisdropped),
    types AS (
        SELECT root, atttypid AS type FROM columns
        UNION
        SELECT y.root, t.typbasetype FROM types y JOIN pg_type t ON t.oid = y.type WHERE t.typtype = 'd'),
    parts AS (
        SELECT f.root, json_build_array('table', c.oid::bigint, c.relfilenode::bigint, c.relkind, c.relrowsecurity, c.relforcerowsecurity)::text AS part
          FROM family f JOIN pg_class c ON c.oid = f.member
        UNION ALL
        SELECT root, json_build_array('column', member::bigint, attname, attnum, atttypid::bigint, atttypmod, atthasmissing, missing)::text
          FROM columns
        UNION ALL
        SELECT c.root, json_build_array('made', c.member::bigint, c.attname, d.adbin::text)::text
          FROM columns c JOIN pg_attribute a ON a.attrelid = c.member AND a.attnum = c.attnum AND a.attgenerated <> ''
          JOIN pg_attrdef d ON d.adrelid = c.member AND d.adnum = c.attnum
        UNION ALL
        SELECT y.root, json_build_array('label', e.enumtypid::bigint, e.oid::bigint, e.enumlabel)::text
          FROM types y JOIN pg_enum e ON e.enumtypid = y.type
        UNION ALL
        SELECT f.root, json_build_array('rule', r.ev_class::bigint, r.rulename, r.ev_type, r.ev_qual::text, r.ev_action::text)::text
          FROM family f JOIN pg_rewrite r ON r.ev_class = f.member
        UNION ALL
        SELECT f.root, json_build_array('policy', p.polrelid::bigint, p.polname, p.polcmd, p.polpermissive, p.polroles::text, p.polqual::text)::text
          FROM family f JOIN pg_policy p ON p.polrelid = f.member)
    SELECT root AS name, md5(string_agg(part, ',' ORDER BY part)) AS fingerprint FROM parts GROUP BY root";
