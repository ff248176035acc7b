//! What a role needs to read the source, and what of it is missing.

use catalog::{Error, Fault, Ident, Result, Side, Source, qualified};
use sqlx::{PgConnection, Row as _};

use super::classify;

/// Asks what is missing: `$1` is the schema; `$2` and `$3` are the table and the name of each column that is read. A table's
/// rows are read with their transaction ids, so that who may read columns alone needs that of `xmin` too.
///
/// A policy is asked for whether or not it hides a row today: the pipeline's sessions refuse to read under any.
const MISSING: &str = "WITH wanted AS (
    SELECT w.tab, w.col FROM unnest($2::text[], $3::text[]) AS w (tab, col)),
tables AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname::text IN (SELECT tab FROM wanted) AND c.relkind IN ('r', 'p', 'm', 'v', 'f')),
columns AS (
    SELECT t.oid, a.attnum FROM tables t JOIN wanted w ON w.tab = t.relname JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = w.col
     UNION ALL
    SELECT t.oid, -2 FROM tables t WHERE t.relkind IN ('r', 'p', 'm'))
SELECT m.kind, m.schema, m.name, current_user::text AS role
  FROM (SELECT 0 AS place, 'SCHEMA' AS kind, NULL::text AS schema, n.nspname::text AS name
          FROM pg_namespace n WHERE n.nspname = $1 AND NOT has_schema_privilege(n.oid, 'USAGE')
         UNION ALL
        SELECT 1, 'TABLE', t.nspname, t.relname FROM tables t
         WHERE NOT has_table_privilege(t.oid, 'SELECT')
           AND EXISTS (SELECT FROM columns c WHERE c.oid = t.oid AND NOT has_column_privilege(c.oid, c.attnum, 'SELECT'))
         UNION ALL
        SELECT 2, 'POLICY', t.nspname, t.relname FROM tables t WHERE row_security_active(t.oid)) AS m
 ORDER BY m.place, m.name";

/// What the role lacks to read every table of the catalogue, each with the statement that gives it; empty when nothing.
/// Tables that do not exist are not among it.
///
/// # Errors
/// What the source answers.
pub async fn missing(source: &mut PgConnection, catalogue: &Source) -> Result<Vec<String>> {
    let failed = |error| classify(Side::Source, "cannot read the role's rights", error);
    let mapped = catalogue.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let (tables, columns): (Vec<&str>, Vec<&str>) =
        mapped.map(|(table, column)| (table.name.as_str(), column.name.as_str())).unzip();
    let rows = sqlx::query(MISSING)
        .bind(catalogue.schema.as_str())
        .bind(tables)
        .bind(columns)
        .fetch_all(source)
        .await
        .map_err(failed)?;
    let mut missing = Vec::new();
    for row in rows {
        let text = |column: &str| -> Result<String> { row.try_get(column).map_err(failed) };
        let illegal = |error| Error::because(Fault::Bug, "the server has a name that it cannot have", error);
        let ident = |name: String| Ident::new(name).map_err(illegal);
        let (name, role) = (ident(text("name")?)?, ident(text("role")?)?);
        let schema: Option<String> = row.try_get("schema").map_err(failed)?;
        let place = match schema {
            Some(schema) => qualified(&ident(schema)?, &name),
            None => name.sql().to_string(),
        };
        let role_sql = role.sql();
        missing.push(match text("kind")?.as_str() {
            "SCHEMA" => format!("the role {role} may not use the schema {name}: GRANT USAGE ON SCHEMA {place} TO {role_sql}"),
            "TABLE" => format!("the role {role} may not read {name}: GRANT SELECT ON {place} TO {role_sql}"),
            _ => format!(
                "row security of {name} may hide rows from the role {role}, which is an error when it is read: ALTER ROLE \
                 {role_sql} BYPASSRLS"
            ),
        });
    }
    Ok(missing)
}
