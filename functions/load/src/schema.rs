//! The star schema as it is, and in what it differs from the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Catalog, Error, Fault, Ident, Result, Side, TargetKind};
use host::postgres::classify;
use serde::Deserialize;
use sqlx::{PgConnection, Row as _};

/// A warehouse table as it is.
#[derive(Debug, Default)]
pub struct LiveTable {
    columns: Vec<LiveColumn>,
    /// Column lists of the indexes, in order; those of a unique one apart.
    pub(crate) indexes: Vec<Vec<String>>,
    pub(crate) unique: Vec<Vec<String>>,
    /// Column → table of every foreign key of one column.
    pub(crate) references: BTreeSet<(String, String)>,
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
