//! R9: a change in the source's shape is an error that names it, before anything is written.

use catalog::{Source, Table};

use crate::observe::{LiveTable, Observation};

/// Every difference between the catalogue and the live source that would change or lose a value, for people. Columns
/// that are not mapped do not matter.
#[must_use]
pub fn differences(source: &Source, seen: &Observation) -> Vec<String> {
    let mut differences = Vec::new();
    for table in &source.tables {
        match seen.tables.get(&table.name) {
            None => {
                let place = &source.schema;
                differences.push(format!(
                    "{} does not exist in schema {place} (pipeline.toml, line {})",
                    table.name, table.line
                ));
            }
            Some(live) => of_table(&mut differences, table, live),
        }
    }
    differences
}

fn of_table(differences: &mut Vec<String>, table: &Table, live: &LiveTable) {
    for column in &table.columns {
        let found = live.columns.iter().find(|live| live.name == column.name.as_str());
        let what = match found {
            None => "no longer exists".to_owned(),
            Some(found) if !column.value.reads(&found.type_name, found.is_enum) => {
                format!("became {} where the catalogue says {}", found.type_name, column.value)
            }
            Some(_) => continue,
        };
        differences.push(format!("{}.{} {what} (pipeline.toml, line {})", table.name, column.name, column.line));
    }
    // A view has no index to tell by; its rows are checked when they are loaded.
    if live.versioned && !live.unique_keys.iter().any(|unique| covers(table, unique)) {
        let key = table.key.iter().map(|field| field.column.name.to_string()).collect::<Vec<_>>().join(", ");
        differences.push(format!(
            "{} has no unique index over its key ({key}) (pipeline.toml, line {})",
            table.name, table.line
        ));
    }
}

/// Whether a unique index over `unique` makes the catalogue's key unique.
fn covers(table: &Table, unique: &[String]) -> bool {
    unique.iter().all(|column| table.key.iter().any(|field| field.column.name.as_str() == column))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog::state::SourceIdentity;
    use catalog::{Catalog, Horizon};

    use super::*;
    use crate::observe::LiveColumn;

    fn check(columns: &[(&str, &str)], unique: &[&str], versioned: bool) -> Vec<String> {
        let text = "[pipeline]\nname = 'p'\n[source.tables.t]\nkey = 'id'\ncapture = 'changes'\n[source.tables.t.columns]\n\
                    id = 'integer'\nprice = 'numeric(10,2)'\n[dimensions.d]\nfrom = 't'\ncolumns = { id = 'id' }\n";
        let catalog = Catalog::parse("p", text).unwrap();
        let columns = columns.iter().map(|(name, type_name)| LiveColumn {
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
            is_enum: false,
        });
        let unique_keys = vec![unique.iter().map(|name| (*name).to_owned()).collect()];
        let live = LiveTable { columns: columns.collect(), unique_keys, versioned, ..LiveTable::default() };
        let identity = SourceIdentity { system: String::new(), timeline: 1, database: 1 };
        let tables = BTreeMap::from([(catalog.source.tables[0].name.clone(), live)]);
        differences(
            &catalog.source,
            &Observation { identity, horizon: Horizon::START, next: Horizon::START, counts: true, tables },
        )
    }

    #[test]
    fn a_new_unmapped_column_changes_nothing() {
        let columns = [("id", "integer"), ("price", "numeric(10,2)"), ("colour", "text")];
        assert_eq!(check(&columns, &["id"], true), Vec::<String>::new());
    }

    #[test]
    fn lost_and_changed_columns_are_named_with_their_line() {
        assert_eq!(
            check(&[("id", "bigint"), ("prize", "numeric(10,2)")], &["id"], true),
            [
                "t.id became bigint where the catalogue says integer (pipeline.toml, line 7)",
                "t.price no longer exists (pipeline.toml, line 8)"
            ]
        );
    }

    #[test]
    fn a_key_that_is_not_unique_would_double_rows() {
        let columns = [("id", "integer"), ("price", "numeric(10,2)")];
        assert_eq!(
            check(&columns, &["id", "price"], true),
            ["t has no unique index over its key (id) (pipeline.toml, line 3)"]
        );
        assert_eq!(check(&columns, &["id", "price"], false), Vec::<String>::new(), "a view has no index");
    }
}
