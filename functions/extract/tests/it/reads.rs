//! What is read, and how it is written.

use catalog::Function;
use catalog::message::{ExtractRequest, Read, StepStatus, TablePlan};
use testbed::{Testbed, batch};

const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [source.tables.thing]
    key = 'id'
    capture = 'changes'
    columns = { id = 'integer', name = 'text null' }
    [facts.fact_thing]
    from = 'thing'
    surrogate_key = 'n'
    columns = { id = 'id', name = 'name' }
";

#[tokio::test]
async fn a_table_is_read_whole() {
    let mut bed = Testbed::new(CATALOGUE).await;
    bed.source_does("CREATE TABLE thing (id integer PRIMARY KEY, name text)").await;
    bed.source_does("INSERT INTO thing VALUES (1, 'one'), (2, NULL), (3, '')").await;
    let table = bed.catalog().source.tables[0].clone();
    let host = bed.host(Function::Extract(&table)).await;
    let plan = TablePlan { read: Read::Whole, reason: String::new(), expected_rows: None, versioned: true };
    let request = ExtractRequest { batch: batch("first", 0), table: table.name.clone(), plan };
    let extracted = extract::handle(request, &host).await.expect("it is read");
    assert_eq!((extracted.status, extracted.rows), (StepStatus::Done, 3));
    bed.end().await;
}
