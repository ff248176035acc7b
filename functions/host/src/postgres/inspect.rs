//! What tables look like: the one room that reads their shape from Postgres' system catalogue, on either side.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Error, Fault, Ident, Result, Side, told_json};
use serde::Deserialize;
use sqlx::{PgConnection, Row as _};

use super::classify;

/// The first server version with 64-bit transaction ids in SQL.
const MIN_SERVER_VERSION: i32 = 130_000;

/// A table as it is.
#[derive(Clone, Debug, Default)]
pub struct LiveTable {
    /// What it is.
    pub kind: Kind,
    /// A foreign table among its partitions and children, if there is one: rows of that are read with it.
    pub foreign: Option<String>,
    /// Its columns, in order.
    pub columns: Vec<LiveColumn>,
    /// The columns of each of its indexes, in order; not of those over expressions, or over a part of the rows.
    pub indexes: Vec<Vec<String>>,
    /// The same of the unique ones alone.
    pub unique: Vec<Vec<String>>,
    /// Column and table of every reference by one column.
    pub references: BTreeSet<(String, String)>,
    /// Whether the role may give it keys and indexes: it owns it, and may create in its schema.
    pub is_extensible: bool,
    /// Whether the role may let other tables refer to it.
    pub is_referable: bool,
}

impl LiveTable {
    /// Whether its rows carry a transaction id, all of them.
    #[must_use]
    pub fn is_versioned(&self) -> bool {
        self.kind.is_versioned() && self.foreign.is_none()
    }

    /// Whether a unique index has these columns and no other.
    #[must_use]
    pub fn is_unique_over(&self, key: &[Ident]) -> bool {
        let covers = |unique: &Vec<String>| key.iter().all(|column| unique.iter().any(|own| own == column.as_str()));
        self.unique.iter().any(|unique| unique.len() == key.len() && covers(unique))
    }
}

/// What stands under a name in `pg_class`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    #[default]
    Table,
    /// A partitioned table's parent.
    Partitioned,
    /// A materialized view.
    MaterializedView,
    /// A view.
    View,
    /// A foreign table.
    Foreign,
    /// Nothing that rows are read of: an index, a sequence, a type.
    Other,
}

impl Kind {
    fn of(code: &str) -> Self {
        match code {
            "r" => Self::Table,
            "p" => Self::Partitioned,
            "m" => Self::MaterializedView,
            "v" => Self::View,
            "f" => Self::Foreign,
            _ => Self::Other,
        }
    }

    /// Whether rows of its own carry a transaction id.
    fn is_versioned(self) -> bool {
        match self {
            Self::Table | Self::Partitioned | Self::MaterializedView => true,
            Self::View | Self::Foreign | Self::Other => false,
        }
    }
}

/// A column as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LiveColumn {
    /// Its name.
    pub name: String,
    /// Its type as `format_type` prints it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The same with a domain resolved.
    pub base_type: String,
    /// Whether it is a user-defined enumeration, or a domain over one.
    pub is_enum: bool,
    /// Whether it takes no NULL.
    pub not_null: bool,
    /// Whether a row may be inserted without a value for it.
    pub filled: bool,
}

/// Refuses a server that is too old for the statements that the pipeline sends.
///
/// # Errors
/// The side's `Refused`, or what the database answers.
pub async fn refuse_old(connection: &mut PgConnection, side: Side) -> Result<()> {
    let failed = |error| classify(side, &format!("cannot read the {side}'s version"), error);
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS name",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    let version: i32 = row.try_get("version").map_err(failed)?;
    if version >= MIN_SERVER_VERSION {
        return Ok(());
    }
    let fault = match side {
        Side::Source => Fault::SourceRefused,
        Side::Warehouse => Fault::WarehouseRefused,
    };
    let name: String = row.try_get("name").map_err(failed)?;
    Err(Error::new(fault, format!("the {side} is PostgreSQL {name}; 13 or newer is needed")))
}

/// Those of the tables `names` that exist in the schema.
///
/// # Errors
/// What the database answers.
pub async fn tables<'n>(
    connection: &mut PgConnection,
    side: Side,
    schema: &Ident,
    names: impl Iterator<Item = &'n Ident>,
) -> Result<BTreeMap<Ident, LiveTable>> {
    let failed = |error| classify(side, &format!("cannot read the {side}'s catalogue"), error);
    let names: Vec<&Ident> = names.collect();
    let rows = sqlx::query(
        "SELECT c.relname::text AS name, c.relkind::text AS kind,
                (SELECT coalesce(json_agg(json_build_object(
                            'name', a.attname,
                            'type', format_type(a.atttypid, a.atttypmod),
                            'base_type', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
                                              ELSE format_type(a.atttypid, a.atttypmod) END,
                            'is_enum', coalesce(b.typtype, t.typtype) = 'e',
                            'not_null', a.attnotnull,
                            'filled', NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '') ORDER BY a.attnum), '[]')::text
                   FROM pg_attribute a
                   JOIN pg_type t ON t.oid = a.atttypid
                   LEFT JOIN pg_type b ON b.oid = t.typbasetype
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
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
                  WHERE f.conrelid = c.oid AND f.contype = 'f' AND cardinality(f.conkey) = 1) AS refs,
                (WITH RECURSIVE beneath AS (
                        SELECT i.inhrelid AS member FROM pg_inherits i WHERE i.inhparent = c.oid
                        UNION
                        SELECT i.inhrelid FROM beneath b JOIN pg_inherits i ON i.inhparent = b.member)
                 SELECT min(m.oid::regclass::text) FROM beneath b JOIN pg_class m ON m.oid = b.member AND m.relkind = 'f') AS \"foreign\",
                pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE') AS is_extensible,
                has_table_privilege(c.oid, 'REFERENCES') AS is_referable
           FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = ANY ($2)",
    )
    .bind(schema.as_str())
    .bind(names.iter().map(|name| name.as_str()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let text = |column: &str| -> Result<String> { row.try_get(column).map_err(failed) };
        let damaged = |error| {
            let what = format!("cannot read what the {side}'s catalogue answered: {}", told_json(&error));
            Error::new(Fault::Bug, what)
        };
        let indexes: Vec<(bool, Vec<String>)> = serde_json::from_str(&text("indexes")?).map_err(damaged)?;
        let references: Vec<(String, String)> = serde_json::from_str(&text("refs")?).map_err(damaged)?;
        let live = LiveTable {
            kind: Kind::of(&text("kind")?),
            foreign: row.try_get("foreign").map_err(failed)?,
            columns: serde_json::from_str(&text("columns")?).map_err(damaged)?,
            unique: indexes.iter().filter(|(unique, _)| *unique).map(|(_, columns)| columns.clone()).collect(),
            indexes: indexes.into_iter().map(|(_, columns)| columns).collect(),
            references: references.into_iter().collect(),
            is_extensible: row.try_get("is_extensible").map_err(failed)?,
            is_referable: row.try_get("is_referable").map_err(failed)?,
        };
        let found = text("name")?;
        if let Some(name) = names.iter().find(|name| name.as_str() == found) {
            tables.insert((*name).clone(), live);
        }
    }
    Ok(tables)
}
