//! What a load must be allowed to do in the warehouse, and what of it the role may not.

use catalog::ledger::LedgerTable;
use catalog::{Catalog, Error, Fault, Ident, Result, Side, qualified};
use host::postgres::classify;
use sqlx::{PgConnection, Row as _};

use crate::Made;

/// Asks what is missing: `$1` and `$2` are the targets' schema and names, `$3` and `$4` those of the ledger, `$5` the columns
/// that are given a value, each as `target.column`; `$6` whether the ledger's tables have to be altered.
///
/// CREATE is needed only where something has to be made. A sequence is asked for where a column takes its value from it; an
/// identity needs no right of its own. Materialized: what is no sequence must not be asked as one.
const MISSING: &str = "WITH spaces AS (
    SELECT w.name, n.oid, w.has_missing
      FROM (SELECT $1 AS name, EXISTS (SELECT FROM unnest($2::text[]) AS t (name) WHERE NOT EXISTS (
                       SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = t.name)) AS has_missing
             UNION ALL
            SELECT $3, EXISTS (SELECT FROM unnest($4::text[]) AS t (name) WHERE NOT EXISTS (
                       SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $3 AND c.relname = t.name))) AS w
      LEFT JOIN pg_namespace n ON n.nspname = w.name),
tables AS (
    SELECT c.oid, n.nspname, c.relname, c.relowner, n.nspname = $3 AND c.relname = ANY ($4) AS is_ledger
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND ((n.nspname = $1 AND c.relname = ANY ($2)) OR (n.nspname = $3 AND c.relname = ANY ($4)))),
sequences AS MATERIALIZED (
    SELECT DISTINCT s.oid, n.nspname, s.relname
      FROM tables t
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_attrdef f ON f.adrelid = t.oid AND f.adnum = a.attnum
      JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
      JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
      JOIN pg_namespace n ON n.oid = s.relnamespace
     WHERE NOT t.is_ledger AND (t.relname || '.' || a.attname) <> ALL ($5::text[]))
SELECT m.kind, m.schema, m.name, m.privilege, current_user::text AS role
  FROM (SELECT 0 AS place, 'NO SCHEMA' AS kind, NULL::text AS schema, s.name, '' AS privilege
          FROM spaces s WHERE s.name = $1 AND s.oid IS NULL
         UNION ALL
        SELECT 1, 'DATABASE', NULL, current_database()::text, 'TEMPORARY'
         WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')
         UNION ALL
        SELECT 2, 'DATABASE', NULL, current_database(), 'CREATE'
         WHERE NOT has_database_privilege(current_database(), 'CREATE')
           AND EXISTS (SELECT FROM spaces WHERE name = $3 AND oid IS NULL)
         UNION ALL
        SELECT 3, 'SCHEMA', NULL, s.name, p.privilege
          FROM spaces s CROSS JOIN unnest(ARRAY['USAGE', 'CREATE']) AS p (privilege)
         WHERE s.oid IS NOT NULL AND (p.privilege = 'USAGE' OR s.has_missing) AND NOT has_schema_privilege(s.oid, p.privilege)
         UNION ALL
        SELECT 4, 'TABLE', t.nspname, t.relname, p.privilege
          FROM tables t CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
         WHERE (p.privilege <> 'DELETE' OR t.is_ledger) AND NOT has_table_privilege(t.oid, p.privilege)
         UNION ALL
        SELECT 5, 'SEQUENCE', q.nspname, q.relname, 'USAGE' FROM sequences q
         WHERE NOT has_sequence_privilege(q.oid, 'USAGE') AND NOT has_sequence_privilege(q.oid, 'UPDATE')
         UNION ALL
        SELECT 6, 'OWNER', t.nspname, t.relname, 'OWNER' FROM tables t
         WHERE $6 AND t.is_ledger AND NOT pg_has_role(t.relowner, 'USAGE')) AS m
 ORDER BY m.place, m.schema, m.name, m.privilege";

/// What gives the role every right that a load will need and that it lacks, a statement each; empty when it lacks none.
///
/// # Errors
/// `Warehouse.SchemaMismatch` where the targets' schema does not exist, else what the warehouse answers.
pub async fn missing(warehouse: &mut PgConnection, catalog: &Catalog, made: &Made) -> Result<Vec<String>> {
    let failed = |error| classify(Side::Warehouse, "cannot read the role's rights", error);
    let targets = &catalog.warehouse.targets;
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let given = targets
        .iter()
        .flat_map(|target| target.columns.iter().map(move |column| format!("{}.{}", target.name, column.name)));
    let rows = sqlx::query(MISSING)
        .bind(catalog.warehouse.schema.as_str())
        .bind(names)
        .bind(catalog.warehouse.ledger.as_str())
        .bind(&LedgerTable::ALL.map(LedgerTable::name)[..])
        .bind(given.collect::<Vec<_>>())
        .bind(made.is_old)
        .fetch_all(warehouse)
        .await
        .map_err(failed)?;
    let mut missing: Vec<(Object, Vec<String>)> = Vec::new();
    for row in rows {
        let text = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
        let object = Object {
            kind: text("kind")?.unwrap_or_default(),
            schema: text("schema")?,
            name: text("name")?.unwrap_or_default(),
            role: text("role")?.unwrap_or_default(),
        };
        let privilege = text("privilege")?.unwrap_or_default();
        match missing.last_mut() {
            Some((last, privileges)) if *last == object => privileges.push(privilege),
            _ => missing.push((object, vec![privilege])),
        }
    }
    missing.iter().map(|(object, privileges)| object.grant(&privileges.join(", "))).collect()
}

/// What a right is of, and who lacks it.
#[derive(Debug, PartialEq, Eq)]
struct Object {
    kind: String,
    schema: Option<String>,
    name: String,
    role: String,
}

impl Object {
    fn grant(&self, privileges: &str) -> Result<String> {
        let illegal = |error| Error::because(Fault::Bug, "the server has a name that it cannot have", error);
        let ident = |name: &str| Ident::new(name).map_err(illegal);
        let (name, role) = (ident(&self.name)?, ident(&self.role)?);
        let full = match &self.schema {
            Some(schema) => qualified(&ident(schema)?, &name),
            None => name.sql().to_string(),
        };
        match self.kind.as_str() {
            "NO SCHEMA" => {
                let what = format!(
                    "the schema {name} does not exist in the warehouse: CREATE SCHEMA {full} AUTHORIZATION {}",
                    role.sql()
                );
                Err(Error::new(Fault::WarehouseSchemaMismatch, what))
            }
            "OWNER" => Ok(format!("ALTER TABLE {full} OWNER TO {}", role.sql())),
            kind => Ok(format!("GRANT {privileges} ON {kind} {full} TO {}", role.sql())),
        }
    }
}

/// Refuses a role that may not do what a load will have to.
///
/// # Errors
/// `Warehouse.AccessDenied` with the statement that gives each right that is missing; else as [`missing`].
pub async fn demand(warehouse: &mut PgConnection, catalog: &Catalog, made: &Made) -> Result<()> {
    let grants = missing(warehouse, catalog, made).await?;
    if grants.is_empty() {
        return Ok(());
    }
    let what = format!("the role lacks rights in the warehouse, which these give: {}", grants.join("; "));
    Err(Error::new(Fault::WarehouseAccessDenied, what))
}
