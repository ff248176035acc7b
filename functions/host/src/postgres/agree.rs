//! In what live tables differ from the catalogue, for people: R9 for the source, and the warehouse that a load would meet.

use std::collections::BTreeMap;

use catalog::{Catalog, ColumnRef, Derivation, Ident, Origin, SourceColumn, Table, Target, TargetKind, qualified};

use super::inspect::{Kind, LiveTable};

/// Every difference between the catalogue and the live source that would change or lose a value, for people. Columns
/// that are not mapped do not matter.
#[must_use]
pub fn source(catalog: &Catalog, live: &BTreeMap<Ident, LiveTable>) -> Vec<String> {
    let mut differences = Vec::new();
    for table in &catalog.source.tables {
        match live.get(&table.name).filter(|live| live.kind != Kind::Other) {
            None => {
                let what = format!("{} does not exist in schema {}", table.name, catalog.source.schema);
                differences.push(at(catalog, what, table.line));
            }
            Some(live) => of_table(&mut differences, catalog, table, live),
        }
    }
    differences
}

/// What the source allows and the catalogue does not expect, with what forbids it: no mistake until a row comes that is so.
#[must_use]
pub fn unexpected_nulls(catalog: &Catalog, live: &BTreeMap<Ident, LiveTable>) -> Vec<String> {
    let mut found = Vec::new();
    for table in &catalog.source.tables {
        // No view's column is declared NOT NULL.
        let declares = |live: &&LiveTable| matches!(live.kind, Kind::Table | Kind::Partitioned);
        let Some(live) = live.get(&table.name).filter(declares) else { continue };
        for column in table.columns.iter().filter(|column| !column.nullable && rejects_null(catalog, table, column)) {
            if live.columns.iter().any(|live| live.name == column.name.as_str() && !live.not_null) {
                let (place, name) = (qualified(&catalog.source.schema, &table.name), column.name.sql());
                let what = format!(
                    "{}.{} may be null in the source, and a row where it is would be rejected: say `{} null`, or let the \
                     source forbid it: ALTER TABLE {place} ALTER {name} SET NOT NULL",
                    table.name, column.name, column.value
                );
                found.push(at(catalog, what, column.line));
            }
        }
    }
    found
}

/// Whether a row is rejected that has NULL there: some target needs a value, and has none to stand for it.
fn rejects_null(catalog: &Catalog, table: &Table, column: &SourceColumn) -> bool {
    let is_it = |of: &ColumnRef, derivation: &Derivation| {
        let read = of.join.map_or(&derivation.table, |join| &derivation.joins[join].table);
        read.name == table.name && of.field.column.name == column.name
    };
    let needs = |target: &std::sync::Arc<Target>| match &target.origin {
        Origin::Table(derivation) => target
            .columns
            .iter()
            .zip(&derivation.columns)
            .any(|(made, derived)| !made.nullable && made.if_null.is_none() && is_it(&derived.of, derivation)),
        Origin::Calendar(_) => false,
    };
    catalog.warehouse.targets.iter().any(needs)
}

/// What is said of a line of the catalogue.
fn at(catalog: &Catalog, what: String, line: usize) -> String {
    format!("{what} ({}, line {line})", catalog.file)
}

fn of_table(differences: &mut Vec<String>, catalog: &Catalog, table: &Table, live: &LiveTable) {
    for column in &table.columns {
        let found = live.columns.iter().find(|live| live.name == column.name.as_str());
        let what = match found {
            None => "does not exist".to_owned(),
            Some(found) if !column.value.reads(&found.base_type, found.is_enum) => {
                format!("is {} where the catalogue says {}", found.base_type, column.value)
            }
            Some(_) => continue,
        };
        differences.push(at(catalog, format!("{}.{} {what}", table.name, column.name), column.line));
    }
    // A view has no index to tell by, nor has what a foreign table lies beneath; its rows are checked when they are loaded.
    if live.is_versioned() && !live.unique.iter().any(|unique| covers(table, unique)) {
        let key = table.key.iter().map(|field| field.column.name.to_string()).collect::<Vec<_>>().join(", ");
        differences.push(at(catalog, format!("{} has no unique index over its key ({key})", table.name), table.line));
    }
}

/// Whether a unique index over `unique` makes the catalogue's key unique.
fn covers(table: &Table, unique: &[String]) -> bool {
    unique.iter().all(|column| table.key.iter().any(|field| field.column.name.as_str() == column))
}

/// Every way in which live tables differ from the catalogue's, for people. Missing tables are no difference, nor are
/// further columns that fill themselves.
#[must_use]
pub fn warehouse(catalog: &Catalog, live: &BTreeMap<Ident, LiveTable>) -> Vec<String> {
    let mut differences = Vec::new();
    for target in &catalog.warehouse.targets {
        let Some(table) = live.get(&target.name) else { continue };
        let mut say = |what: String| differences.push(at(catalog, what, target.line));
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
        Catalog::parse("folder/shop.toml", text).unwrap()
    }

    /// The catalogue's one table as it is.
    fn live(table: LiveTable) -> BTreeMap<Ident, LiveTable> {
        BTreeMap::from([(catalog().source.tables[0].name.clone(), table)])
    }

    fn check(columns: &[(&str, &str)], unique: &[&str], kind: Kind) -> Vec<String> {
        source(&catalog(), &live(table(columns, unique, kind)))
    }

    fn check_target(columns: &[(&str, &str)], kind: Kind) -> Vec<String> {
        let catalog = catalog();
        warehouse(&catalog, &BTreeMap::from([(catalog.warehouse.targets[0].name.clone(), table(columns, &[], kind))]))
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
                "t.id is bigint where the catalogue says integer (shop.toml, line 7)",
                "t.price does not exist (shop.toml, line 8)"
            ]
        );
    }

    #[test]
    fn a_column_that_may_be_null_where_none_is_expected_is_told_with_what_forbids_it() {
        let nullable = |kind| {
            let mut live_table =
                table(&[("id", "integer"), ("price", "numeric(10,2)"), ("more", "text")], &["id"], kind);
            live_table.columns.iter_mut().skip(1).for_each(|column| column.not_null = false);
            let text = "[pipeline]\nname = 'p'\n[source.tables.t]\nkey = 'id'\ncapture = 'changes'\n[source.tables.t.columns]\n\
                        id = 'integer'\nprice = 'numeric(10,2)'\nmore = 'text'\n[dimensions.d]\nfrom = 't'\n\
                        columns = { id = 'id', price = 'price', more = { from = 'more', if_null = 'none' } }\n";
            let catalog = Catalog::parse("folder/shop.toml", text).unwrap();
            unexpected_nulls(&catalog, &live(live_table))
        };
        assert_eq!(
            nullable(Kind::Table),
            [
                "t.price may be null in the source, and a row where it is would be rejected: say `numeric(10,2) null`, or let \
                 the source forbid it: ALTER TABLE \"public\".\"t\" ALTER \"price\" SET NOT NULL (shop.toml, line 8)"
            ]
        );
        assert_eq!(nullable(Kind::View), Vec::<String>::new(), "no view declares it");
        assert_eq!(unexpected_nulls(&catalog(), &BTreeMap::new()), Vec::<String>::new());
    }

    #[test]
    fn a_key_that_is_not_unique_would_double_rows() {
        let columns = [("id", "integer"), ("price", "numeric(10,2)")];
        assert_eq!(
            check(&columns, &["id", "price"], Kind::Table),
            ["t has no unique index over its key (id) (shop.toml, line 3)"]
        );
        assert_eq!(check(&columns, &["id", "price"], Kind::View), Vec::<String>::new(), "a view has no index");
    }

    #[test]
    fn what_is_no_table_does_not_exist() {
        let missing = ["t does not exist in schema public (shop.toml, line 3)"];
        assert_eq!(check(&[], &[], Kind::Other), missing);
        assert_eq!(source(&catalog(), &BTreeMap::new()), missing);
    }

    #[test]
    fn a_warehouse_table_of_another_shape_is_named() {
        assert_eq!(check_target(&[("id", "integer")], Kind::Partitioned), Vec::<String>::new());
        assert_eq!(check_target(&[("id", "integer")], Kind::View), ["d is no table (shop.toml, line 9)"]);
        assert_eq!(
            check_target(&[("id", "text"), ("more", "text")], Kind::Table),
            [
                "d.id is text where the catalogue says integer (shop.toml, line 9)",
                "d.more needs a value, and the catalogue gives it none (shop.toml, line 9)"
            ]
        );
        assert_eq!(warehouse(&catalog(), &BTreeMap::new()), Vec::<String>::new(), "load makes it");
    }

    #[test]
    fn a_dimension_of_another_owner_has_to_have_its_unique_index() {
        let catalog = catalog();
        let check = |unique: &[&str], is_extensible| {
            let live = LiveTable { is_extensible, ..table(&[("id", "integer")], unique, Kind::Table) };
            warehouse(&catalog, &BTreeMap::from([(catalog.warehouse.targets[0].name.clone(), live)]))
        };
        assert_eq!(check(&["id"], false), Vec::<String>::new());
        assert_eq!(check(&["more"], true), Vec::<String>::new());
        assert_eq!(
            check(&["more"], false),
            ["d has no unique index over its key (id), and only its owner can give it one (shop.toml, line 9)"]
        );
    }
}
