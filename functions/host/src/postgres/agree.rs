//! In what live tables differ from the catalogue, for people: R9 for the source, and the warehouse that a load would meet.

use std::collections::BTreeMap;

use catalog::{Ident, Source, Table, TargetKind, Warehouse};

use super::inspect::{Kind, LiveTable};

/// Every difference between the catalogue and the live source that would change or lose a value, for people. Columns
/// that are not mapped do not matter.
#[must_use]
pub fn source(source: &Source, live: &BTreeMap<Ident, LiveTable>) -> Vec<String> {
    let mut differences = Vec::new();
    for table in &source.tables {
        match live.get(&table.name).filter(|live| live.kind != Kind::Other) {
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
            Some(found) if !column.value.reads(&found.base_type, found.is_enum) => {
                format!("became {} where the catalogue says {}", found.base_type, column.value)
            }
            Some(_) => continue,
        };
        differences.push(format!("{}.{} {what} (pipeline.toml, line {})", table.name, column.name, column.line));
    }
    // A view has no index to tell by; its rows are checked when they are loaded.
    if live.kind.is_versioned() && !live.unique.iter().any(|unique| covers(table, unique)) {
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

/// Every way in which live tables differ from the catalogue's, for people. Missing tables are no difference, nor are
/// further columns that fill themselves.
#[must_use]
pub fn warehouse(warehouse: &Warehouse, live: &BTreeMap<Ident, LiveTable>) -> Vec<String> {
    let mut differences = Vec::new();
    for target in &warehouse.targets {
        let Some(table) = live.get(&target.name) else { continue };
        let mut say = |what: String| differences.push(format!("{what} (pipeline.toml, line {})", target.line));
        if !matches!(table.kind, Kind::Table | Kind::Partitioned) {
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
        // A load adds the index where it may.
        if surrogate.is_none() && !table.is_extensible && !table.is_unique_over(&target.key) {
            let key = target.key.iter().map(Ident::as_str).collect::<Vec<_>>().join(", ");
            say(format!(
                "{} has no unique index over its key ({key}), and only its owner can give it one",
                target.name
            ));
        }
        for extra in table.columns.iter().filter(|live| !live.filled && target.column(&live.name).is_none()) {
            say(format!("{}.{} needs a value, and the catalogue gives it none", target.name, extra.name));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use catalog::Catalog;

    use super::*;
    use crate::postgres::inspect::LiveColumn;

    fn table(columns: &[(&str, &str)], unique: &[&str], kind: Kind) -> LiveTable {
        let columns = columns.iter().map(|(name, type_name)| LiveColumn {
            name: (*name).to_owned(),
            type_name: (*type_name).to_owned(),
            base_type: (*type_name).to_owned(),
            is_enum: false,
            not_null: true,
            filled: false,
        });
        let unique = vec![unique.iter().map(|name| (*name).to_owned()).collect()];
        LiveTable { kind, columns: columns.collect(), unique, is_extensible: true, ..LiveTable::default() }
    }

    fn catalog() -> Catalog {
        let text = "[pipeline]\nname = 'p'\n[source.tables.t]\nkey = 'id'\ncapture = 'changes'\n[source.tables.t.columns]\n\
                    id = 'integer'\nprice = 'numeric(10,2)'\n[dimensions.d]\nfrom = 't'\ncolumns = { id = 'id' }\n";
        Catalog::parse("p", text).unwrap()
    }

    fn check(columns: &[(&str, &str)], unique: &[&str], kind: Kind) -> Vec<String> {
        let source_of = catalog().source;
        source(&source_of, &BTreeMap::from([(source_of.tables[0].name.clone(), table(columns, unique, kind))]))
    }

    fn check_target(columns: &[(&str, &str)], kind: Kind) -> Vec<String> {
        let target_of = catalog().warehouse;
        warehouse(&target_of, &BTreeMap::from([(target_of.targets[0].name.clone(), table(columns, &[], kind))]))
    }

    #[test]
    fn a_new_unmapped_column_changes_nothing() {
        let columns = [("id", "integer"), ("price", "numeric(10,2)"), ("colour", "text")];
        assert_eq!(check(&columns, &["id"], Kind::Table), Vec::<String>::new());
    }

    #[test]
    fn lost_and_changed_columns_are_named_with_their_line() {
        assert_eq!(
            check(&[("id", "bigint"), ("prize", "numeric(10,2)")], &["id"], Kind::Table),
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
            check(&columns, &["id", "price"], Kind::Table),
            ["t has no unique index over its key (id) (pipeline.toml, line 3)"]
        );
        assert_eq!(check(&columns, &["id", "price"], Kind::View), Vec::<String>::new(), "a view has no index");
    }

    #[test]
    fn what_is_no_table_does_not_exist() {
        let missing = ["t does not exist in schema public (pipeline.toml, line 3)"];
        assert_eq!(check(&[], &[], Kind::Other), missing);
        assert_eq!(source(&catalog().source, &BTreeMap::new()), missing);
    }

    #[test]
    fn a_warehouse_table_of_another_shape_is_named() {
        assert_eq!(check_target(&[("id", "integer")], Kind::Partitioned), Vec::<String>::new());
        assert_eq!(check_target(&[("id", "integer")], Kind::View), ["d is no table (pipeline.toml, line 9)"]);
        assert_eq!(
            check_target(&[("id", "text"), ("more", "text")], Kind::Table),
            [
                "d.id is text where the catalogue says integer (pipeline.toml, line 9)",
                "d.more needs a value, and the catalogue gives it none (pipeline.toml, line 9)"
            ]
        );
        assert_eq!(warehouse(&catalog().warehouse, &BTreeMap::new()), Vec::<String>::new(), "load makes it");
    }

    #[test]
    fn a_dimension_of_another_owner_has_to_have_its_unique_index() {
        let target_of = catalog().warehouse;
        let check = |unique: &[&str], is_extensible| {
            let live = LiveTable { is_extensible, ..table(&[("id", "integer")], unique, Kind::Table) };
            warehouse(&target_of, &BTreeMap::from([(target_of.targets[0].name.clone(), live)]))
        };
        assert_eq!(check(&["id"], false), Vec::<String>::new());
        assert_eq!(check(&["more"], true), Vec::<String>::new());
        assert_eq!(
            check(&["more"], false),
            ["d has no unique index over its key (id), and only its owner can give it one (pipeline.toml, line 9)"]
        );
    }
}
