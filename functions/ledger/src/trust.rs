//! Whose code would run with the loader's rights. What is written to a table runs its triggers, rules, defaults, checks and
//! the expressions of its indexes as whoever writes; its owner can add one at any time.
//!
//! Trusted is who can do everything already, and the loader: superusers, the database's owner, the role itself, and roles
//! whose rights it has. What those made or vouch for, they answer for, and what it calls in its turn too.

use catalog::ledger::LedgerTable;
use catalog::{Catalog, Error, Fault, Result, Side};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

/// How many findings one message tells: a table may have thousands of partitions.
const TOLD: usize = 20;

/// The roles that are trusted. A superuser has every role's rights, and yet not every role is trusted by one.
pub(crate) const TRUSTED: &str = "SELECT r.oid FROM pg_roles r JOIN pg_roles own ON own.rolname = current_user
     WHERE r.rolsuper OR r.oid = own.oid OR r.rolname = 'pg_database_owner' OR (NOT own.rolsuper AND pg_has_role(r.oid, 'USAGE'))
        OR r.oid = (SELECT d.datdba FROM pg_database d WHERE d.datname = current_database())";

/// Asks for what is not trusted of the tables `$2` in the schema `$1` and `$4` in `$3`, of what they inherit from, of what
/// inherits from them, and of what follows their changes by a foreign key, whose triggers run as who made the change: tables by their owner, and by theirs the functions and types that something of a table depends on.
///
/// What a database is made with cannot be depended on: it is not noted, and its owner is a superuser. A function is not
/// looked into. Of a partition's triggers and indexes those of its parent are told, which alone can be dropped.
fn asking() -> String {
    format!(
        "WITH RECURSIVE trusted AS MATERIALIZED (
    {TRUSTED}),
named AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ((n.nspname = $1 AND c.relname = ANY ($2)) OR (n.nspname = $3 AND c.relname = ANY ($4)))),
above AS (SELECT oid FROM named UNION SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid),
follows AS MATERIALIZED (
    SELECT k.oid, k.conname, k.conrelid, k.confrelid FROM pg_constraint k
     WHERE k.contype = 'f' AND (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd'))),
beneath AS (
    SELECT oid FROM above UNION
    SELECT s.oid FROM beneath b CROSS JOIN LATERAL (
           SELECT i.inhrelid AS oid FROM pg_inherits i WHERE i.inhparent = b.oid
            UNION ALL
           SELECT f.conrelid FROM follows f WHERE f.confrelid = b.oid) AS s),
tables AS MATERIALIZED (SELECT oid FROM above UNION SELECT oid FROM beneath),
carriers (class, object, removal) AS (
    SELECT 'pg_class'::regclass::oid, t.oid, NULL FROM tables t
     UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, CASE WHEN k.oid IS NULL THEN format('DROP INDEX %s', x.oid::regclass)
                                                    ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', t.oid::regclass, k.conname) END
      FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class x ON x.oid = i.indexrelid AND NOT x.relispartition
      LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.conindid = x.oid AND k.contype IN ('p', 'u', 'x')
     UNION ALL
    SELECT 'pg_attrdef'::regclass, f.oid,
           CASE WHEN a.attgenerated = '' THEN format('ALTER TABLE %s ALTER %I DROP DEFAULT', t.oid::regclass, a.attname)
                WHEN a.attinhcount = 0 THEN format('ALTER TABLE %s ALTER %I DROP EXPRESSION', t.oid::regclass, a.attname) END
      FROM tables t JOIN pg_attrdef f ON f.adrelid = t.oid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = f.adnum
     UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid,
           CASE WHEN k.coninhcount = 0 THEN format('ALTER TABLE %s DROP CONSTRAINT %I', t.oid::regclass, k.conname) END
      FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid
     UNION ALL
    SELECT 'pg_trigger'::regclass, g.oid, format('DROP TRIGGER %I ON %s', g.tgname, t.oid::regclass)
      FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND g.tgparentid = 0
     UNION ALL
    SELECT 'pg_rewrite'::regclass, w.oid, CASE WHEN w.rulename <> '_RETURN' THEN format('DROP RULE %I ON %s', w.rulename, t.oid::regclass) END
      FROM tables t JOIN pg_rewrite w ON w.ev_class = t.oid
     UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, format('DROP POLICY %I ON %s', p.polname, t.oid::regclass)
      FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
     UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid, format('DROP STATISTICS %I.%I', n.nspname, s.stxname)
      FROM tables t JOIN pg_statistic_ext s ON s.stxrelid = t.oid JOIN pg_namespace n ON n.oid = s.stxnamespace),
reached AS (
    SELECT c.class AS by_class, c.object AS by_object, c.removal, c.class, c.object FROM carriers c
     UNION
    SELECT r.by_class, r.by_object, r.removal, s.class, s.object
      FROM reached r CROSS JOIN LATERAL (
           SELECT d.refclassid, d.refobjid FROM pg_depend d
            WHERE d.classid = r.class AND d.objid = r.object
              AND d.refclassid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_operator'::regclass)
            UNION ALL
           SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k WHERE r.class = 'pg_type'::regclass AND k.contypid = r.object
            UNION ALL
           SELECT 'pg_class'::regclass, t.typrelid FROM pg_type t
            WHERE r.class = 'pg_type'::regclass AND t.oid = r.object AND t.typrelid <> 0) AS s (class, object)
     WHERE r.class <> 'pg_proc'::regclass),
found (place, carrier, removal, code, kind, name, owner) AS (
    SELECT 0, NULL, NULL, NULL, 'TABLE', c.oid::regclass::text, c.relowner FROM tables t JOIN pg_class c ON c.oid = t.oid
     WHERE t.oid NOT IN (SELECT conrelid FROM follows) OR t.oid IN (SELECT oid FROM named)
     UNION ALL
    SELECT 1, b.type || ' ' || b.identity, format('ALTER TABLE %s DROP CONSTRAINT %I', c.oid::regclass, f.conname),
           'the triggers of ' || c.oid::regclass, 'TABLE', c.oid::regclass::text, c.relowner
      FROM follows f JOIN tables t ON t.oid = f.confrelid JOIN pg_class c ON c.oid = f.conrelid
     CROSS JOIN LATERAL pg_identify_object('pg_constraint'::regclass, f.oid, 0) AS b
     UNION ALL
    SELECT 1, b.type || ' ' || b.identity, r.removal, o.type || ' ' || o.identity, 'ROUTINE', o.identity, p.proowner
      FROM reached r JOIN pg_proc p ON r.class = 'pg_proc'::regclass AND p.oid = r.object
     CROSS JOIN LATERAL pg_identify_object(r.by_class, r.by_object, 0) AS b
     CROSS JOIN LATERAL pg_identify_object(r.class, r.object, 0) AS o
     UNION ALL
    SELECT 1, b.type || ' ' || b.identity, r.removal, 'type ' || format_type(y.oid, NULL),
           CASE WHEN c.relkind <> 'c' THEN 'TABLE' ELSE 'TYPE' END, format_type(y.oid, NULL), y.typowner
      FROM reached r JOIN pg_type y ON r.class = 'pg_type'::regclass AND y.oid = r.object AND y.typtype IN ('c', 'd', 'r')
      LEFT JOIN pg_class c ON c.oid = y.typrelid
     CROSS JOIN LATERAL pg_identify_object(r.by_class, r.by_object, 0) AS b)
SELECT DISTINCT f.place, f.carrier, f.removal, f.code, f.kind, f.name, pg_get_userbyid(f.owner)::text AS owner, quote_ident(current_user) AS role
  FROM found f
 WHERE f.owner NOT IN (SELECT oid FROM trusted)
 ORDER BY f.place, f.name, f.carrier"
    )
}

/// What of the targets and of the ledger would run somebody else's code with the role's rights, a sentence each, with the
/// statement that puts it right; empty when nothing would. Nothing of it is read or run.
///
/// # Errors
/// What the warehouse answers.
pub async fn strangers(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Vec<String>> {
    let failed = |error| classify(Side::Warehouse, "cannot read whose the tables of the warehouse are", error);
    let names: Vec<&str> = catalog.warehouse.targets.iter().map(|target| target.name.as_str()).collect();
    let rows = sqlx::query(AssertSqlSafe(asking()))
        .bind(catalog.warehouse.schema.as_str())
        .bind(names)
        .bind(catalog.warehouse.ledger.as_str())
        .bind(&LedgerTable::ALL.map(LedgerTable::name)[..])
        .fetch_all(warehouse)
        .await
        .map_err(failed)?;
    let sentence = |row: &sqlx::postgres::PgRow| {
        let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
        let maybe = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
        // The server has quoted these names, and with them the types of a function's arguments.
        let (kind, name, owner, role) = (text("kind")?, text("name")?, text("owner")?, text("role")?);
        let giving = format!("ALTER {kind} {name} OWNER TO {role}");
        let (Some(carrier), Some(code)) = (maybe("carrier")?, maybe("code")?) else {
            let what = format!("{name} belongs to {owner}, whose code on it would run with the rights of {role}");
            return Ok(format!("{what}: if what is on it is wanted, {giving}; else drop it"));
        };
        let what = format!("{carrier} uses {code}, which belongs to {owner} and would run with the rights of {role}");
        Ok(match maybe("removal")? {
            Some(removal) => format!("{what}: {removal}; or, if it is wanted, {giving}"),
            None => format!("{what}: if it is wanted, {giving}"),
        })
    };
    let mut found = rows.iter().take(TOLD).map(sentence).collect::<Result<Vec<String>>>()?;
    if rows.len() > TOLD {
        found.push(format!("and {} more", rows.len() - TOLD));
    }
    Ok(found)
}

/// Refuses tables that would run somebody else's code with the role's rights: before anything is read of them.
///
/// # Errors
/// `Warehouse.Untrusted` with each of them, else what the warehouse answers.
pub async fn demand(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<()> {
    let found = strangers(warehouse, catalog).await?;
    if found.is_empty() { Ok(()) } else { Err(Error::new(Fault::WarehouseUntrusted, found.join("; "))) }
}
