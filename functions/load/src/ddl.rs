//! The star schema: tables that are missing are made, then filled, then given their keys, indexes and references.

use catalog::{Catalog, Error, Fault, Ident, Result, Side, Target, TargetKind, qualified};
use host::postgres::agree;
use host::postgres::inspect::{self, LiveTable};
use sqlx::PgConnection;

use crate::statement::{execute, list};

/// What has to be added once the rows are in.
pub(crate) struct Constraints(Vec<Addition>);

/// A statement, and what to say when it fails.
#[derive(Debug)]
struct Addition {
    doing: String,
    statement: String,
}

/// Makes missing tables without their constraints, which are cheaper to add after the first rows.
pub(crate) async fn make_tables(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Constraints> {
    let names = catalog.warehouse.targets.iter().map(|target| &target.name);
    let live = inspect::tables(warehouse, Side::Warehouse, &catalog.warehouse.schema, names).await?;
    let differences = agree::warehouse(&catalog.warehouse, &live);
    if !differences.is_empty() {
        return Err(Error::new(Fault::WarehouseSchemaMismatch, differences.join("; ")));
    }
    let mut missing = Vec::new();
    let nothing = LiveTable::default();
    for target in &catalog.warehouse.targets {
        let table = live.get(&target.name);
        if table.is_none() {
            execute(warehouse, &format!("cannot create {}", target.name), create(catalog, target)).await?;
        }
        missing.extend(missing_keys(catalog, target, table.unwrap_or(&nothing)));
    }
    // References last: they need the keys that they refer to.
    for target in &catalog.warehouse.targets {
        let table = live.get(&target.name).unwrap_or(&nothing);
        missing.extend(missing_references(catalog, target, table));
    }
    Ok(Constraints(missing))
}

impl Constraints {
    /// Adds them, in order.
    pub(crate) async fn add(self, warehouse: &mut PgConnection) -> Result<()> {
        for Addition { doing, statement } in self.0 {
            execute(warehouse, &doing, statement).await?;
        }
        Ok(())
    }
}

fn table(catalog: &Catalog, target: &Target) -> String {
    qualified(&catalog.warehouse.schema, &target.name)
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
    format!("CREATE TABLE {} ({columns})", table(catalog, target))
}

/// A dimension's key; a fact's surrogate key and the index by which the newest version of a key is found.
fn missing_keys(catalog: &Catalog, target: &Target, live: &LiveTable) -> Vec<Addition> {
    let table = table(catalog, target);
    let is_unique = |key: &[Ident]| {
        live.unique
            .iter()
            .any(|unique| unique.len() == key.len() && key.iter().all(|column| unique.contains(&column.to_string())))
    };
    let primary_key = |key: &[Ident]| Addition {
        doing: format!("cannot add the key of {}", target.name),
        statement: format!("ALTER TABLE {table} ADD PRIMARY KEY ({})", list(key)),
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
                missing.push(Addition {
                    doing: format!("cannot index the versions of {}", target.name),
                    statement: format!("CREATE INDEX {} ON {table} ({columns})", index.sql()),
                });
            }
            missing
        }
    }
}

fn missing_references(catalog: &Catalog, target: &Target, live: &LiveTable) -> Option<Addition> {
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
    (!clauses.is_empty()).then(|| Addition {
        doing: format!("cannot add the references of {}", target.name),
        statement: format!("ALTER TABLE {} {}", table(catalog, target), clauses.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    fn all(catalog: &Catalog, print: impl Fn(&Target) -> Vec<String>) -> String {
        catalog.warehouse.targets.iter().flat_map(|target| print(target)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn tables_are_made_bare() {
        let catalog = catalog();
        expect![[r#"
            CREATE TABLE "the ""star"""."dim 'thing'" ("the id" integer NOT NULL, "reason" character varying, "excluded" numeric(10,2))
            CREATE TABLE "the ""star"""."dim_bare" ("s" integer NOT NULL)
            CREATE TABLE "the ""star"""."fact ""pair""" ("n o" serial, "left %" integer NOT NULL, "right ""hand""" character varying NOT NULL, "s" integer, "d0" integer, "c" integer, "reason" character varying, "known" character varying)"#]].assert_eq(&all(&catalog, |target| vec![create(&catalog, target)]));
    }

    #[test]
    fn keys_indexes_and_references_are_added_afterwards() {
        let (catalog, nothing) = (catalog(), LiveTable::default());
        let keys = all(&catalog, |target| {
            missing_keys(&catalog, target, &nothing).into_iter().map(|addition| addition.statement).collect()
        });
        expect![[r#"
            ALTER TABLE "the ""star"""."dim 'thing'" ADD PRIMARY KEY ("the id")
            ALTER TABLE "the ""star"""."dim_bare" ADD PRIMARY KEY ("s")
            ALTER TABLE "the ""star"""."fact ""pair""" ADD PRIMARY KEY ("n o")
            CREATE INDEX "fact ""pair""_version_idx" ON "the ""star"""."fact ""pair""" ("left %", "right ""hand""", "n o" DESC)"#]].assert_eq(&keys);
        let references = all(&catalog, |target| {
            missing_references(&catalog, target, &nothing).into_iter().map(|addition| addition.statement).collect()
        });
        expect![[r#"ALTER TABLE "the ""star"""."fact ""pair""" ADD CONSTRAINT "fact ""pair""_s_fkey" FOREIGN KEY ("s") REFERENCES "the ""star"""."dim 'thing'" ("the id"), ADD CONSTRAINT "fact ""pair""_d0_fkey" FOREIGN KEY ("d0") REFERENCES "the ""star"""."dim 'thing'" ("the id"), ADD CONSTRAINT "fact ""pair""_c_fkey" FOREIGN KEY ("c") REFERENCES "the ""star"""."dim_bare" ("s")"#]].assert_eq(&references);
    }
}
