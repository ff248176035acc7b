//! The star schema: what is missing is made, what has another shape is refused.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Catalog, Error, Fault, Ident, Result, Side, Target, TargetKind, qualified};
use host::postgres::classify;
use serde::Deserialize;
use sqlx::{PgConnection, Row as _};

use crate::execute;

/// A warehouse table as it is.
#[derive(Debug, Default)]
pub struct LiveTable {
    columns: Vec<LiveColumn>,
    /// Column lists of the indexes, in order; those of a unique one apart.
    indexes: Vec<Vec<String>>,
    unique: Vec<Vec<String>>,
    /// Column → table of every foreign key of one column.
    references: BTreeSet<(String, String)>,
    kind: String,
}

#[derive(Debug, Deserialize)]
struct LiveColumn {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    not_null: bool,
    /// Whether a row may be inserted without a value for it.
    filled: bool,
}

/// What has to be added once the rows are in.
pub(crate) struct Schema {
    /// Statements with what they do, for messages.
    after: Vec<(String, String)>,
}

/// Makes missing tables without their constraints, which are cheaper to add after the first rows.
pub(crate) async fn prepare(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Schema> {
    let live = observe(warehouse, catalog).await?;
    let differences = differences(catalog, &live);
    if !differences.is_empty() {
        return Err(Error::new(Fault::WarehouseSchemaMismatch, differences.join("; ")));
    }
    let mut after = Vec::new();
    let nothing = LiveTable::default();
    for target in &catalog.warehouse.targets {
        let table = live.get(&target.name);
        if table.is_none() {
            execute(warehouse, &format!("cannot create {}", target.name), create(catalog, target)).await?;
        }
        after.extend(missing_keys(catalog, target, table.unwrap_or(&nothing)));
    }
    // Foreign keys last: they need the keys they refer to.
    for target in &catalog.warehouse.targets {
        let table = live.get(&target.name).unwrap_or(&nothing);
        after.extend(missing_references(catalog, target, table));
    }
    Ok(Schema { after })
}

impl Schema {
    pub(crate) async fn add_constraints(self, warehouse: &mut PgConnection) -> Result<()> {
        for (doing, statement) in self.after {
            execute(warehouse, &doing, statement).await?;
        }
        Ok(())
    }
}

/// The live tables that the catalogue names.
///
/// # Errors
/// What the warehouse answers.
pub async fn observe(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<BTreeMap<Ident, LiveTable>> {
    let failed = |error| classify(Side::Warehouse, "cannot read the warehouse's catalogue", error);
    let targets = &catalog.warehouse.targets;
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let rows = sqlx::query(
        "SELECT c.relname::text AS name, c.relkind::text AS kind,
                (SELECT coalesce(json_agg(json_build_object(
                            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                            'filled', NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '') ORDER BY a.attnum), '[]')::text
                   FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
                (SELECT coalesce(json_agg(json_build_array(i.indisunique,
                            (SELECT json_agg(a.attname ORDER BY k.place)
                               FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                              WHERE k.place <= i.indnkeyatts))), '[]')::text
                   FROM pg_index i
                  WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL) AS indexes,
                (SELECT coalesce(json_agg(json_build_array(a.attname, r.relname)), '[]')::text
                   FROM pg_constraint f
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1]
                   JOIN pg_class r ON r.oid = f.confrelid
                  WHERE f.conrelid = c.oid AND f.contype = 'f' AND cardinality(f.conkey) = 1) AS refs
           FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = ANY ($2)",
    )
    .bind(catalog.warehouse.schema.as_str())
    .bind(names)
    .fetch_all(warehouse)
    .await
    .map_err(failed)?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let text = |column: &str| -> Result<String> { row.try_get(column).map_err(failed) };
        let damaged = |error| Error::because(Fault::Bug, "cannot read what the warehouse's catalogue answered", error);
        let indexes: Vec<(bool, Vec<String>)> = serde_json::from_str(&text("indexes")?).map_err(damaged)?;
        let references: Vec<(String, String)> = serde_json::from_str(&text("refs")?).map_err(damaged)?;
        let live = LiveTable {
            columns: serde_json::from_str(&text("columns")?).map_err(damaged)?,
            unique: indexes.iter().filter(|(unique, _)| *unique).map(|(_, columns)| columns.clone()).collect(),
            indexes: indexes.into_iter().map(|(_, columns)| columns).collect(),
            references: references.into_iter().collect(),
            kind: text("kind")?,
        };
        let name = text("name")?;
        if let Some(target) = targets.iter().find(|target| target.name.as_str() == name) {
            tables.insert(target.name.clone(), live);
        }
    }
    Ok(tables)
}

/// Every way in which live tables differ from the catalogue's, for people. Missing tables are no difference, nor are
/// further columns that fill themselves.
#[must_use]
pub fn differences(catalog: &Catalog, live: &BTreeMap<Ident, LiveTable>) -> Vec<String> {
    let mut differences = Vec::new();
    for target in &catalog.warehouse.targets {
        let Some(table) = live.get(&target.name) else { continue };
        let mut say = |what: String| differences.push(format!("{what} (pipeline.toml, line {})", target.line));
        if !matches!(table.kind.as_str(), "r" | "p") {
            say(format!("{} is no table", target.name));
            continue;
        }
        for column in &target.columns {
            let name = format!("{}.{}", target.name, column.name);
            match table.columns.iter().find(|live| live.name == column.name.as_str()) {
                None => say(format!("{name} does not exist")),
                Some(live) if !column.pg_type.is_met_by(&live.type_name) => {
                    say(format!("{name} is {} where the catalogue says {}", live.type_name, column.pg_type));
                }
                Some(live) if live.not_null && column.nullable => {
                    say(format!("{name} takes no NULL, but its source may be null"));
                }
                Some(_) => {}
            }
        }
        let surrogate = match &target.kind {
            TargetKind::Fact { surrogate_key } => Some(surrogate_key),
            TargetKind::Dimension => None,
        };
        if let Some(surrogate) = surrogate
            && !table.columns.iter().any(|live| live.name == surrogate.as_str())
        {
            say(format!("{}.{surrogate} does not exist", target.name));
        }
        for extra in table.columns.iter().filter(|live| !live.filled && target.column(&live.name).is_none()) {
            say(format!("{}.{} needs a value, and the catalogue gives it none", target.name, extra.name));
        }
    }
    differences
}

fn create(catalog: &Catalog, target: &Target) -> String {
    let surrogate = match &target.kind {
        TargetKind::Fact { surrogate_key } => Some(format!("{} serial", surrogate_key.sql())),
        TargetKind::Dimension => None,
    };
    let columns = target.columns.iter().map(|column| {
        let null = if column.nullable { "" } else { " NOT NULL" };
        format!("{} {}{null}", column.name.sql(), column.pg_type)
    });
    let columns = surrogate.into_iter().chain(columns).collect::<Vec<_>>().join(", ");
    format!("CREATE TABLE {} ({columns})", name(catalog, target))
}

fn name(catalog: &Catalog, target: &Target) -> String {
    qualified(&catalog.warehouse.schema, &target.name)
}

fn list(columns: &[Ident]) -> String {
    columns.iter().map(|column| column.sql().to_string()).collect::<Vec<_>>().join(", ")
}

/// A dimension's key; a fact's surrogate key and the index by which the newest version of a key is found.
fn missing_keys(catalog: &Catalog, target: &Target, live: &LiveTable) -> Vec<(String, String)> {
    let table = name(catalog, target);
    let is_unique = |key: &[Ident]| {
        live.unique
            .iter()
            .any(|unique| unique.len() == key.len() && key.iter().all(|column| unique.contains(&column.to_string())))
    };
    let primary_key = |key: &[Ident]| {
        (
            format!("cannot add the key of {}", target.name),
            format!("ALTER TABLE {table} ADD PRIMARY KEY ({})", list(key)),
        )
    };
    match &target.kind {
        TargetKind::Dimension if is_unique(&target.key) => Vec::new(),
        TargetKind::Dimension => vec![primary_key(&target.key)],
        TargetKind::Fact { surrogate_key } => {
            let mut missing = Vec::new();
            if !is_unique(std::slice::from_ref(surrogate_key)) {
                missing.push(primary_key(std::slice::from_ref(surrogate_key)));
            }
            let begins_with_key = |index: &Vec<String>| {
                index.iter().zip(&target.key).filter(|(a, b)| *a == b.as_str()).count() == target.key.len()
            };
            if !live.indexes.iter().any(begins_with_key) {
                let index = Ident::derived(&[target.name.as_str(), "version", "idx"]);
                let columns = format!("{}, {} DESC", list(&target.key), surrogate_key.sql());
                let statement = format!("CREATE INDEX {} ON {table} ({columns})", index.sql());
                missing.push((format!("cannot index the versions of {}", target.name), statement));
            }
            missing
        }
    }
}

fn missing_references(catalog: &Catalog, target: &Target, live: &LiveTable) -> Option<(String, String)> {
    let missing = target
        .references()
        .filter(|(column, to)| !live.references.contains(&(column.name.to_string(), to.dimension.to_string())));
    let clauses: Vec<String> = missing
        .map(|(column, to)| {
            let constraint = Ident::derived(&[target.name.as_str(), column.name.as_str(), "fkey"]);
            format!(
                "ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({})",
                constraint.sql(),
                column.name.sql(),
                qualified(&catalog.warehouse.schema, &to.dimension),
                to.key.sql()
            )
        })
        .collect();
    let statement = format!("ALTER TABLE {} {}", name(catalog, target), clauses.join(", "));
    (!clauses.is_empty()).then(|| (format!("cannot add the foreign keys of {}", target.name), statement))
}
