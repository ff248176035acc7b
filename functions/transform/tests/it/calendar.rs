//! The calendar has a row for every date that a fact holds, wherever the fact takes it from.

use crate::bed::Bed;

/// Both tables have a column `day`; the fact's is the one of the header.
const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [source.tables.line]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer', header_id = 'integer', day = 'text', due = 'text null' }
    [source.tables.header]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer', placed = 'timestamp', day = 'date' }
    [dimensions.dim_date]
    calendar = true
    columns = { day = { calendar = 'date' }, name = { calendar = 'day_name' }, quarter = { calendar = 'quarter' } }
    [facts.fact_line]
    from = 'line'
    surrogate_key = 'n'
    joins.header.on = 'header_id'
    [facts.fact_line.columns]
    id = 'id'
    day = { from = 'header.day', references = 'dim_date' }
    placed = { date_of = 'header.placed', references = 'dim_date' }
    due = { text_to_date = 'due', if_null = '9999-12-31', references = 'dim_date' }
";

#[tokio::test]
async fn a_date_from_a_lookup_is_in_the_calendar_and_so_is_a_constant() {
    let mut bed = Bed::new(CATALOGUE).await;
    bed.extracted("header", "1,2024-02-29 23:59:59,2024-03-01,1\n2,2024-02-29 00:00:00,2024-11-15,1\n").await;
    bed.extracted("line", "1,1,no date,2024-11-15,1\n2,2,1999-01-01,,1\n").await;
    bed.transform("dim_date", "1").await.unwrap();
    bed.transform("fact_line", "1").await.unwrap();
    let fact = ["(1,2024-03-01,2024-02-29,2024-11-15,1)", "(2,2024-11-15,2024-02-29,9999-12-31,1)"];
    assert_eq!(bed.rows("fact_line").await.0, fact);
    let calendar =
        ["(2024-02-29,Thursday,1,)", "(2024-03-01,Friday,1,)", "(2024-11-15,Friday,4,)", "(9999-12-31,Friday,4,)"];
    assert_eq!(bed.rows("dim_date").await.0, calendar);
    bed.end().await;
}

#[tokio::test]
async fn a_row_that_is_no_fact_has_no_date() {
    let mut bed = Bed::new(CATALOGUE).await;
    bed.extracted("header", "1,2024-02-29 23:59:59,2024-03-01,1\n").await;
    // One date that is none, one header that is deferred, one that is missing for good.
    bed.extracted("line", "1,1,x,soon,1\n2,2,x,2024-11-15,1000\n3,3,x,2024-11-16,1\n").await;
    let fact = bed.transform("fact_line", "1").await.unwrap();
    assert_eq!((fact.rows, fact.deferred, fact.rejected), (0, 1, 2));
    let calendar = bed.transform("dim_date", "1").await.unwrap();
    assert_eq!((calendar.rows, calendar.deferred, calendar.rejected), (0, 0, 0));
    assert_eq!(bed.rows("dim_date").await.0, Vec::<String>::new());
    bed.end().await;
}

#[tokio::test]
async fn a_row_that_the_load_may_have_to_reject_has_its_dates_nevertheless() {
    // Whether the header's customer is in the warehouse is known there alone: once it is, the row's dates are too.
    let catalogue =
        CATALOGUE.replace("placed = 'timestamp', day", "placed = 'timestamp', customer = 'integer', day").replace(
            "[facts.fact_line]",
            "[source.tables.customer]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer' }
    [dimensions.dim_customer]
    from = 'customer'
    columns = { id = 'id' }
    [facts.fact_line]",
        );
    let catalogue = format!("{catalogue}    customer = {{ from = 'header.customer', references = 'dim_customer' }}\n");
    let mut bed = Bed::new(&catalogue).await;
    bed.extracted("header", "1,2024-02-29 23:59:59,9,2024-03-01,1\n").await;
    bed.extracted("line", "1,1,no date,2024-11-15,1\n").await;
    bed.extracted("customer", "").await;
    bed.transform("dim_date", "1").await.unwrap();
    bed.transform("fact_line", "1").await.unwrap();
    assert_eq!(bed.rows("fact_line").await.0, ["(1,2024-03-01,2024-02-29,2024-11-15,9,1)"]);
    let calendar = ["(2024-02-29,Thursday,1,)", "(2024-03-01,Friday,1,)", "(2024-11-15,Friday,4,)"];
    assert_eq!(bed.rows("dim_date").await.0, calendar);
    bed.end().await;
}
