//! The star schema: what is missing is made, what has another shape is refused.

use catalog::{Catalog, Error, Fault, Ident, Result, Side, Target, TargetKind, qualified};
use host::postgres::agree;
use host::postgres::inspect::{self, LiveTable};
use sqlx::PgConnection;

use crate::execute;

/// What has to be added once the rows are in.
pub(crate) struct Schema {
    /// Statements with what they do, for messages.
    after: Vec<(String, String)>,
}

/// Makes missing tables without their constraints, which are cheaper to add after the first rows.
pub(crate) async fn prepare(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Schema> {
    let names = catalog.warehouse.targets.iter().map(|target| &target.name);
    let live = inspect::tables(warehouse, Side::Warehouse, &catalog.warehouse.schema, names).await?;
    let differences = agree::warehouse(&catalog.warehouse, &live);
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
