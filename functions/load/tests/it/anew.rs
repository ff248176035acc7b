//! A dimension that is made anew beside facts that were there before it.

use catalog::message::LoadRequest;
use catalog::{CalendarAttribute, Ident};

use crate::shop::{CATALOGUE, Shop, brings, counts};

/// Says of a batch that the plan makes a target anew.
fn rebuilds(request: &mut LoadRequest, target: &str) {
    request.targets.get_mut(&Ident::new(target).expect("a name")).expect("it is there").rebuild = true;
}

#[tokio::test]
async fn rows_that_refer_to_nothing_in_a_dimension_made_anew_are_told() {
    let mut shop = Shop::open().await;
    let lines = brings("fact_line", &["7|a|1|2|x", "7|b|2|NULL|x", "7|c|3|3|x"]);
    let first = shop.load("one", &[brings("dim_staff", &["1|Ada", "2|Bob", "3|Cy"]), lines]).await;
    assert_eq!((first.noticed, first.alerts), (false, Vec::new()));
    shop.bed.warehouse_does("DROP TABLE dim_staff CASCADE").await;
    // Bob is gone from the source.
    let mut request = shop.batch("two", &[brings("dim_staff", &["1|Ada", "3|Cy"])]).await;
    rebuilds(&mut request, "dim_staff");
    let loaded = shop.handle(&request).await.expect("it loads");
    let told = |column: &str| {
        format!(
            "1 row of fact_line refers by {column} to what is not in dim_staff, which was made anew from what the source still has"
        )
    };
    assert_eq!((loaded.noticed, loaded.alerts), (true, vec![told("seller"), told("packer")]));
    assert_eq!(shop.handle(&request).await.expect("it answers").alerts.len(), 2, "it is in the ledger");
    // Once: nothing is made anew.
    shop.newest = Some(request.batch.name);
    assert!(!shop.load("three", &[brings("dim_staff", &["1|Ann"])]).await.noticed);
    shop.close().await;
}

#[tokio::test]
async fn a_calendar_made_anew_has_every_date_that_facts_refer_to() {
    let attributes =
        CalendarAttribute::ALL.map(|attribute| format!("c_{0} = {{ calendar = '{0}' }}", attribute.name()));
    let dated = format!(
        "[dimensions.dim_date]\ncalendar = true\ncolumns = {{ {} }}\n[facts.fact_line]\n",
        attributes.join(", ")
    );
    let catalogue = CATALOGUE
        .replace("[facts.fact_line]\n", &dated)
        .replace("note = 'text null'", "note = 'date null'")
        .replace("note = 'note'", "note = { from = 'note', references = 'dim_date' }");
    let mut shop = Shop::with(&catalogue).await;
    let sunday = "2023-01-01|2023|1|1|7|Sunday|January|1";
    let example = CalendarAttribute::ALL.map(|attribute| attribute.row().example).join("|");
    let before_christ = "0001-02-03 BC|0|2|3|4|Thursday|February|1";
    let dates = brings("dim_date", &[sunday, &example]);
    let (a, b) = ("7|a|NULL|NULL|2023-01-01", format!("7|b|NULL|NULL|{}", CalendarAttribute::EXAMPLE));
    shop.load("one", &[dates, brings("fact_line", &[a, &b, "7|c|NULL|NULL|NULL"])]).await;
    let lost =
        "DROP TABLE dim_date CASCADE; INSERT INTO fact_line (number, place, note) VALUES (7, 'd', '0001-02-03 BC')";
    shop.bed.warehouse_does(lost).await;
    // The source has one of the dates still.
    let mut request = shop.batch("two", &[brings("dim_date", &[sunday])]).await;
    rebuilds(&mut request, "dim_date");
    let loaded = shop.handle(&request).await.expect("it loads");
    assert_eq!((counts(&loaded, "dim_date"), loaded.alerts), ([3, 0, 0, 0, 0], Vec::new()));
    let rows = "SELECT string_agg(concat_ws('|', c_date, c_year, c_month, c_day, c_day_of_week, c_day_name, c_month_name, c_quarter), '; ' ORDER BY c_date) FROM dim_date";
    assert_eq!(shop.ask(rows).await, format!("{before_christ}; {sunday}; {example}"));
    let reference = "SELECT convalidated FROM pg_constraint WHERE conname = 'fact_line_note_fkey'";
    assert_eq!(shop.ask(reference).await, "true");
    shop.close().await;
}
