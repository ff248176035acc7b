//! Laws over the whole shipped catalogue.

use std::collections::BTreeSet;
use std::sync::Arc;

use catalog::{CalendarAttribute, Capture, Catalog, Deployment, Function, Ident, Origin, ValueType, Word};

use crate::shipped;

fn totesys() -> Catalog {
    Catalog::parse("pipeline.toml", &shipped()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_shipped_catalogue_has_every_table_of_the_requirements() {
    let catalog = totesys();
    let facts = catalog.warehouse.targets.iter().filter(|target| target.is_fact()).count();
    assert_eq!((catalog.source.tables.len(), catalog.warehouse.targets.len() - facts, facts), (11, 8, 3));
}

#[test]
fn nothing_is_lost_on_the_way_to_the_reader() {
    let catalog = totesys();
    let fact = catalog.target("fact_sales_order").unwrap();
    assert_eq!(fact.key, [Ident::new("sales_order_id").unwrap()]);
    assert_eq!(fact.columns.len(), 14);
    assert_eq!(fact.references().count(), 9);
    let price = fact.column("unit_price").unwrap();
    assert_eq!(price.value, ValueType::Numeric { precision: 10, scale: 2 });
    assert_eq!(price.pg_type.to_string(), "numeric(10,2)");
    let location = catalog.target("dim_staff").unwrap().column("location").unwrap();
    assert_eq!((location.nullable, location.if_null.as_deref()), (false, Some("Unknown")));
    let line_2 = catalog.target("dim_counterparty").unwrap().column("counterparty_legal_address_line_2").unwrap();
    assert!(line_2.nullable);
}

#[test]
fn columns_keep_the_order_of_the_file() {
    let catalog = totesys();
    let names: Vec<_> = catalog.target("dim_date").unwrap().columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["date_id", "year", "month", "day", "day_of_week", "day_name", "month_name", "quarter"]);
}

#[test]
fn a_dimension_knows_everything_it_is_made_of() {
    let catalog = totesys();
    let sources = |target: &str| -> Vec<String> {
        let target = catalog.target(target).unwrap();
        catalog.sources_of(target).iter().map(|table| table.name.to_string()).collect()
    };
    assert_eq!(sources("dim_staff"), ["staff", "department"]);
    assert_eq!(sources("dim_counterparty"), ["counterparty", "address"]);
    assert_eq!(sources("dim_date"), ["sales_order", "purchase_order", "payment"]);
}

#[test]
fn whatever_is_joined_is_a_snapshot() {
    let catalog = totesys();
    for target in &catalog.warehouse.targets {
        if let Origin::Table(derivation) = &target.origin {
            for join in &derivation.joins {
                assert_eq!(join.table.capture, Capture::Snapshot, "{}", target.name);
            }
        }
    }
}

#[test]
fn function_names_are_legal_and_unique_even_for_hostile_table_names() {
    let long = "x".repeat(63);
    let text = format!(
        "[pipeline]\nname = \"a23456789-123456789z\"\n[source.tables]\n{}[dimensions.d]\nfrom=\"{long}\"\ncolumns={{id=\"id\"}}\n[facts]\n",
        [long.as_str(), "a b", "a-b", "a.b", "größe"]
            .map(|name| format!(
                "\"{name}\" = {{ key = \"id\", capture = \"changes\", columns = {{ id = \"integer\" }} }}\n"
            ))
            .concat()
    );
    let catalog = Catalog::parse("p", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let deployment = Deployment::on_laptop(Arc::new(catalog));
    let functions = deployment.catalog.all_functions();
    let names: Vec<String> = functions.map(|function| deployment.function(function)).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    for name in &names {
        assert!(name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{name}");
    }
    let totesys = Deployment::on_laptop(Arc::new(totesys()));
    assert_eq!(totesys.function(Function::Plan), "totesys-plan");
    let table = totesys.catalog.table("sales_order").unwrap();
    assert_eq!(totesys.function(Function::Extract(table)), "totesys-extract-sales_order");
}

#[test]
fn a_definition_that_decides_rows_changes_the_fingerprint_and_nothing_else_does() {
    let of = |text: &str, target: &str| {
        let catalog = Catalog::parse("p", text).unwrap_or_else(|problems| panic!("{problems}"));
        catalog.fingerprint(catalog.target(target).unwrap())
    };
    let text = shipped();
    let staff = of(&text, "dim_staff");
    assert_eq!(of(&format!("# one more line\n{text}"), "dim_staff"), staff);
    assert_eq!(of(&text.replace("5 minutes", "10 minutes"), "dim_staff"), staff);
    assert_ne!(of(&text.replace("Unknown", "n/a"), "dim_staff"), staff);
    assert_ne!(of(&text.replace("location = \"text null\"", "location = \"varchar(9)\""), "dim_staff"), staff);
    // A calendar depends on the fact columns that refer to it.
    let paid = "payment_date = { text_to_date = \"payment_date\", references = \"dim_date\" }";
    assert_ne!(
        of(&text.replace(paid, "payment_date = { text_to_date = \"payment_date\" }"), "dim_date"),
        of(&text, "dim_date")
    );
}

#[test]
fn every_word_of_the_vocabulary_is_used_and_read() {
    let catalog = totesys();
    let mut attributes = 0;
    let mut words = Vec::new();
    for target in &catalog.warehouse.targets {
        match &target.origin {
            Origin::Table(derivation) => words.extend(derivation.columns.iter().map(|derived| derived.word)),
            Origin::Calendar(said) => attributes += said.len(),
        }
    }
    assert!(Word::ALL.iter().all(|word| words.contains(word)), "{words:?}");
    assert_eq!(attributes, CalendarAttribute::ALL.len());
}

#[test]
fn every_target_says_of_each_column_how_it_comes_about() {
    for target in totesys().warehouse.targets {
        let said = match &target.origin {
            Origin::Table(derivation) => derivation.columns.len(),
            Origin::Calendar(attributes) => attributes.len(),
        };
        assert_eq!(said, target.columns.len(), "{}", target.name);
    }
}

#[test]
fn a_calendar_knows_the_lookup_that_a_date_comes_from() {
    let text = "
        [pipeline]
        name = 'p'
        [source.tables]
        line = { key = 'id', capture = 'snapshot', columns = { id = 'integer', order_id = 'integer', day = 'date' } }
        header = { key = 'id', capture = 'snapshot', columns = { id = 'integer', day = 'date' } }
        product = { key = 'id', capture = 'snapshot', columns = { id = 'integer', day = 'date' } }
        [dimensions.dim_date]
        calendar = true
        columns = { day = { calendar = 'date' } }
        [facts.fact_line]
        from = 'line'
        surrogate_key = 'n'
        joins.header.on = 'order_id'
        joins.product.on = 'order_id'
        columns = { id = 'id', day = { from = 'header.day', references = 'dim_date' }, launched = 'product.day' }
    ";
    let catalog = Catalog::parse("p", text).unwrap_or_else(|problems| panic!("{problems}"));
    let calendar = catalog.target("dim_date").unwrap();
    let sources: Vec<&str> = catalog.sources_of(calendar).iter().map(|table| table.name.as_str()).collect();
    assert_eq!(sources, ["line", "header"]);
    let by_product = Catalog::parse("p", &text.replace("'header.day'", "'product.day'")).unwrap();
    assert_ne!(by_product.fingerprint(by_product.target("dim_date").unwrap()), catalog.fingerprint(calendar));
}

#[test]
fn each_function_writes_under_its_own_prefix_alone() {
    let catalog = totesys();
    let mut written = BTreeSet::new();
    for function in catalog.all_functions() {
        let access = catalog.access(function);
        for prefix in access.creates {
            assert!(written.insert(prefix.clone()), "{prefix:?} is written by two functions");
        }
    }
    let staff = catalog.target("dim_staff").unwrap();
    let reads: Vec<String> =
        catalog.access(Function::Transform(staff)).reads.into_iter().map(|(_, prefix)| prefix).collect();
    assert_eq!(reads, ["staff/", "department/", "dim_staff/"]);
}
