//! The star schema: tables that are missing are made, then filled, then given their keys, indexes and references.

use catalog::{Catalog, Error, Fault, Ident, Result, Side, Target, TargetKind, qualified};
use host::postgres::agree;
use host::postgres::inspect::{self, LiveTable};
use sqlx::PgConnection;

use ledger::statement::{execute, list};

/// What has to be added once the rows are in.
pub(crate) struct Constraints(Vec<Addition>);

/// A statement, and what to say when it fails.
#[derive(Debug)]
struct Addition {
    doing: String,
    statement: String,
    /// What may fail afterwards, and is then left as it is.
    trial: Option<String>,
}

/// Makes missing tables without their constraints, which are cheaper to add after the first rows. What the role may not
/// alter stays as its owner made it.
pub(crate) async fn make_tables(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Constraints> {
    let names = catalog.warehouse.targets.iter().map(|target| &target.name);
    let live = inspect::tables(warehouse, Side::Warehouse, &catalog.warehouse.schema, names).await?;
    let differences = agree::warehouse(catalog, &live);
    if !differences.is_empty() {
        return Err(Error::new(Fault::WarehouseSchemaMismatch, differences.join("; ")));
    }
    let mut missing = Vec::new();
    for target in &catalog.warehouse.targets {
        let table = live.get(&target.name);
        if table.is_none() {
            execute(warehouse, &format!("cannot create {}", target.name), create(catalog, target)).await?;
        }
        if table.is_none_or(|table| table.is_extensible) {
            missing.extend(missing_keys(catalog, target, table));
        }
    }
    // References last: they need the keys that they refer to.
    let may_be_referred_to = |dimension: &Ident| live.get(dimension).is_none_or(|table| table.is_referable);
    for target in &catalog.warehouse.targets {
        let table = live.get(&target.name);
        if table.is_none_or(|table| table.is_extensible) {
            missing.extend(missing_references(catalog, target, table, may_be_referred_to));
        }
    }
    Ok(Constraints(missing))
}

impl Constraints {
    /// Adds them, in order.
    pub(crate) async fn add(self, warehouse: &mut PgConnection) -> Result<()> {
        for Addition { doing, statement, trial } in self.0 {
            execute(warehouse, &doing, statement).await?;
            let Some(trial) = trial else { continue };
            execute(warehouse, &doing, "SAVEPOINT trial").await?;
            if let Err(error) = execute(warehouse, &doing, trial).await {
                tracing::warn!("{error}; what is written from now on is held to it");
                execute(warehouse, &doing, "ROLLBACK TO SAVEPOINT trial").await?;
            }
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
fn missing_keys(catalog: &Catalog, target: &Target, live: Option<&LiveTable>) -> Vec<Addition> {
    let table = table(catalog, target);
    let is_unique = |key: &[Ident]| live.is_some_and(|live| live.is_unique_over(key));
    let primary_key = |key: &[Ident]| Addition {
        doing: format!("cannot add the key of {}", target.name),
        statement: format!("ALTER TABLE {table} ADD PRIMARY KEY ({})", list(key)),
        trial: None,
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
            if !live.is_some_and(|live| live.indexes.iter().any(begins_with_key)) {
                let index = Ident::derived(&[target.name.as_str(), "version", "idx"]);
                let columns = format!("{}, {} DESC", list(&target.key), surrogate_key.sql());
                missing.push(Addition {
                    doing: format!("cannot index the versions of {}", target.name),
                    statement: format!("CREATE INDEX {} ON {table} ({columns})", index.sql()),
                    trial: None,
                });
            }
            missing
        }
    }
}

/// The references that a fact lacks. In one that was there already, rows may refer to what is gone from the source for good,
/// when their dimension is made anew: that must not stop every load from then on.
fn missing_references(
    catalog: &Catalog,
    target: &Target,
    live: Option<&LiveTable>,
    may_be_referred_to: impl Fn(&Ident) -> bool,
) -> Option<Addition> {
    let is_there = |column: &Ident, dimension: &Ident| {
        live.is_some_and(|live| live.references.contains(&(column.to_string(), dimension.to_string())))
    };
    let missing: Vec<(Ident, String)> = target
        .references()
        .filter(|(column, to)| !is_there(&column.name, &to.dimension) && may_be_referred_to(&to.dimension))
        .map(|(column, to)| {
            let constraint = Ident::derived(&[target.name.as_str(), column.name.as_str(), "fkey"]);
            let dimension = qualified(&catalog.warehouse.schema, &to.dimension);
            let key = format!("FOREIGN KEY ({}) REFERENCES {dimension} ({})", column.name.sql(), to.key.sql());
            (constraint, key)
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    let clauses = |print: &dyn Fn(&(Ident, String)) -> String| missing.iter().map(print).collect::<Vec<_>>().join(", ");
    let table = table(catalog, target);
    let not_valid = if live.is_some() { " NOT VALID" } else { "" };
    let adding = clauses(&|(name, key)| format!("ADD CONSTRAINT {} {key}{not_valid}", name.sql()));
    let validating = clauses(&|(name, _)| format!("VALIDATE CONSTRAINT {}", name.sql()));
    Some(Addition {
        doing: format!("cannot add the references of {}", target.name),
        statement: format!("ALTER TABLE {table} {adding}"),
        trial: live.is_some().then(|| format!("ALTER TABLE {table} {validating}")),
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
        let catalog = catalog();
        let keys = all(&catalog, |target| {
            missing_keys(&catalog, target, None).into_iter().map(|addition| addition.statement).collect()
        });
        expect![[r#"
            ALTER TABLE "the ""star"""."dim 'thing'" ADD PRIMARY KEY ("the id")
            ALTER TABLE "the ""star"""."dim_bare" ADD PRIMARY KEY ("s")
            ALTER TABLE "the ""star"""."fact ""pair""" ADD PRIMARY KEY ("n o")
            CREATE INDEX "fact ""pair""_version_idx" ON "the ""star"""."fact ""pair""" ("left %", "right ""hand""", "n o" DESC)"#]].assert_eq(&keys);
        let references = all(&catalog, |target| {
            missing_references(&catalog, target, None, |_| true)
                .into_iter()
                .map(|addition| addition.statement)
                .collect()
        });
        expect![[r#"ALTER TABLE "the ""star"""."fact ""pair""" ADD CONSTRAINT "fact ""pair""_s_fkey" FOREIGN KEY ("s") REFERENCES "the ""star"""."dim 'thing'" ("the id"), ADD CONSTRAINT "fact ""pair""_d0_fkey" FOREIGN KEY ("d0") REFERENCES "the ""star"""."dim 'thing'" ("the id"), ADD CONSTRAINT "fact ""pair""_c_fkey" FOREIGN KEY ("c") REFERENCES "the ""star"""."dim_bare" ("s")"#]].assert_eq(&references);
    }

    #[test]
    fn references_of_a_table_that_was_there_are_tried_on_its_rows() {
        let (catalog, live) = (catalog(), LiveTable::default());
        let fact = &catalog.warehouse.targets[2];
        let only_bare = |dimension: &Ident| dimension.as_str() == "dim_bare";
        let addition = missing_references(&catalog, fact, Some(&live), only_bare).expect("it lacks one");
        expect![[r#"
            ALTER TABLE "the ""star"""."fact ""pair""" ADD CONSTRAINT "fact ""pair""_c_fkey" FOREIGN KEY ("c") REFERENCES "the ""star"""."dim_bare" ("s") NOT VALID
            ALTER TABLE "the ""star"""."fact ""pair""" VALIDATE CONSTRAINT "fact ""pair""_c_fkey""#]].assert_eq(&format!("{}\n{}", addition.statement, addition.trial.expect("it is tried")));
    }
}
