//! How it comes about.

use catalog::ledger::LedgerTable;
use catalog::{Catalog, Fault, Side};
use ledger::Ledger;
use local::LOADER;
use sqlx::ConnectOptions as _;
use testbed::{Testbed, execute};

const CATALOGUE: &str = "
    [pipeline]
    name = 'shop'
    [source.tables.staff]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer' }
    [dimensions.dim_staff]
    from = 'staff'
    columns = { id = 'id' }
";

/// What version 1 made, with two batches and a rejected row in it.
const VERSION_1: &str = "
    CREATE SCHEMA IF NOT EXISTS etl;
    CREATE TABLE IF NOT EXISTS etl.batch (
        pipeline     text        NOT NULL,
        batch        text        NOT NULL,
        started      timestamptz NOT NULL,
        base         text,
        committed_at timestamptz NOT NULL,
        result       jsonb       NOT NULL,
        state        jsonb       NOT NULL,
        PRIMARY KEY (pipeline, batch)
    );
    CREATE INDEX IF NOT EXISTS batch_newest_idx ON etl.batch (pipeline, started DESC, batch DESC);
    CREATE TABLE IF NOT EXISTS etl.reject (
        pipeline    text        NOT NULL,
        target      text        NOT NULL,
        source_key  text        NOT NULL,
        reason      text        NOT NULL,
        source_row  jsonb       NOT NULL,
        target_row  jsonb,
        batch       text        NOT NULL,
        rejected_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (pipeline, target, source_key)
    );
    INSERT INTO etl.batch VALUES
        ('shop', 'one', '2026-11-24T10:00Z', NULL, '2026-11-24T10:05Z',
         '{\"status\": \"loaded\", \"targets\": {}, \"rejected\": 0, \"committed_at\": \"2026-11-24T10:05:00Z\", \"freshness_ms\": 300000}', '{}'),
        ('shop', 'redriven', '2026-11-24T09:00Z', 'one', '2026-11-24T10:10Z',
         '{\"status\": \"loaded\", \"targets\": {}, \"rejected\": 1, \"committed_at\": \"2026-11-24T10:10:00Z\", \"freshness_ms\": 4200000}', '{}'),
        ('another', 'one', '2026-11-24T08:00Z', NULL, '2026-11-24T08:05Z', '{}', '{}');
    INSERT INTO etl.reject VALUES ('shop', 'fact_line', '7', 'seller 1 is not in dim_staff', '{}', '{}', 'redriven');
    GRANT USAGE ON SCHEMA etl TO reader;
    GRANT SELECT ON etl.batch, etl.reject TO reader";

fn catalog(from: &str, to: &str) -> Catalog {
    Catalog::parse("pipeline.toml", &CATALOGUE.replace(from, to)).expect("it is right")
}

#[tokio::test]
async fn a_schema_of_somebody_else_is_left_alone() {
    let mut bed = Testbed::new(CATALOGUE).await;
    let catalog = bed.catalog().clone();
    let ledger = Ledger::of(&catalog);
    let theirs = "CREATE SCHEMA etl; CREATE TABLE etl.batch (batch text, source text, state_key text, state text);
                  INSERT INTO etl.batch VALUES ('b', 's', 'k', 't')";
    bed.warehouse_does(theirs).await;
    let error = ledger.prepare(&mut bed.warehouse).await.expect_err("it is not the pipeline's");
    assert_eq!(error.fault(), Fault::WarehouseSchemaMismatch);
    assert!(error.to_string().starts_with("etl.batch is not the pipeline's: give [warehouse] ledger"), "{error}");
    assert_eq!(
        bed.ask_warehouse("SELECT concat_ws(' ', batch, source, state_key, state) FROM etl.batch").await,
        "b s k t"
    );
    bed.end().await;
}

#[tokio::test]
async fn a_ledger_of_version_1_keeps_its_batches_and_remembers_no_source() {
    let mut bed = Testbed::new(CATALOGUE).await;
    let catalog = bed.catalog().clone();
    let ledger = Ledger::of(&catalog);
    bed.warehouse_does(VERSION_1).await;
    let made = ledger.look(&mut bed.warehouse).await.expect("it answers");
    assert!(made.is_old && !made.is_complete(), "{made:?}");
    ledger.prepare(&mut bed.warehouse).await.expect("it is brought to this version");
    assert!(ledger.look(&mut bed.warehouse).await.expect("it answers").is_complete());

    let batches =
        "SELECT string_agg(concat_ws(' ', pipeline, number, batch), ', ' ORDER BY pipeline, number) FROM etl.batch";
    assert_eq!(bed.ask_warehouse(batches).await, "another 1 one, shop 1 one, shop 2 redriven");
    let newest = ledger.newest(&mut bed.warehouse).await.expect("it answers").expect("there is one");
    assert_eq!((newest.number, newest.batch.as_str(), newest.base), (2, "redriven", None));
    let redriven = ledger.find(&mut bed.warehouse, &testbed::batch("redriven", 0)).await.expect("it answers");
    assert_eq!(redriven.map(|loaded| (loaded.rejected, loaded.waiting)), Some((1, 0)));
    assert_eq!(ledger.waiting(&mut bed.warehouse).await.expect("it answers"), 0);

    // It is the one that would be made today, and whoever might read it still may.
    let shape = "SELECT string_agg(concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, -1), a.attnotnull, a.attidentity), ', '
                               ORDER BY c.relname, a.attname)
                   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                  WHERE c.relnamespace = 'etl'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped";
    let keys = "SELECT string_agg(indexdef, '; ' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'etl'";
    let upgraded = (bed.ask_warehouse(shape).await, bed.ask_warehouse(keys).await);
    assert_eq!(bed.ask_warehouse("has_table_privilege('reader', 'etl.reject', 'SELECT')").await, "true");
    bed.warehouse_does("DROP SCHEMA etl CASCADE").await;
    ledger.prepare(&mut bed.warehouse).await.expect("it is made");
    assert_eq!(upgraded, (bed.ask_warehouse(shape).await, bed.ask_warehouse(keys).await));
    bed.end().await;
}

#[tokio::test]
async fn whoever_comes_first_makes_it_and_the_others_find_it() {
    let bed = Testbed::new(CATALOGUE).await;
    let pipelines = [catalog("'shop'", "'shop'"), catalog("'shop'", "'another'")];
    let mut loads = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (catalog, options) = (pipelines[number % 2].clone(), bed.options(LOADER, Side::Warehouse).await);
        loads.spawn(async move {
            let mut warehouse = options.connect().await.expect("the warehouse answers");
            Ledger::of(&catalog).prepare(&mut warehouse).await
        });
    }
    for made in loads.join_all().await {
        made.expect("it is there");
    }
    bed.end().await;
}

#[tokio::test]
async fn a_ledger_that_lost_a_table_remembers_nothing() {
    let mut bed = Testbed::new(CATALOGUE).await;
    let catalog = bed.catalog().clone();
    let ledger = Ledger::of(&catalog);
    ledger.prepare(&mut bed.warehouse).await.expect("it is made");
    let source = r#"{"system": "7", "timeline": 1, "database": 5, "began": null}"#;
    bed.warehouse_does(&format!(
        "INSERT INTO etl.batch VALUES ('shop', 1, 'one', now(), NULL, now(), '{source}', '_states/one-a.json', '{{}}')"
    ))
    .await;
    let newest = ledger.newest(&mut bed.warehouse).await.expect("it answers").expect("there is one");
    assert_eq!(newest.base.expect("it is known").state, "_states/one-a.json");
    bed.warehouse_does("DROP TABLE etl.reject").await;
    ledger.prepare(&mut bed.warehouse).await.expect("it is made");
    let newest = ledger.newest(&mut bed.warehouse).await.expect("it answers").expect("there is one");
    assert_eq!((newest.number, newest.base), (1, None), "rows may have waited");
    bed.end().await;
}

#[tokio::test]
async fn a_schema_of_another_name_is_used_and_no_other() {
    let mut bed =
        Testbed::new(&CATALOGUE.replace("[dimensions", "[warehouse]\nledger = 'Our \"own\"'\n[dimensions")).await;
    let catalog = bed.catalog().clone();
    let ledger = Ledger::of(&catalog);
    ledger.prepare(&mut bed.warehouse).await.expect("it is made");
    ledger.prepare(&mut bed.warehouse).await.expect("it is there");
    let made = ledger.look(&mut bed.warehouse).await.expect("it answers");
    assert_eq!((made.schema, made.tables.len()), (true, LedgerTable::ALL.len()));
    let schemas =
        "SELECT string_agg(DISTINCT schemaname, ' ') FROM pg_tables WHERE tablename IN ('batch', 'target', 'reject')";
    assert_eq!(bed.ask_warehouse(schemas).await, "Our \"own\"");
    bed.end().await;
}

#[tokio::test]
async fn no_right_is_used_that_is_not_needed() {
    let mut bed = Testbed::new(CATALOGUE).await;
    let catalog = bed.catalog().clone();
    let ledger = Ledger::of(&catalog);
    let mut server = bed.superuser(Side::Warehouse).await;
    let database = bed.database(Side::Warehouse).replace('"', "\"\"");
    execute(&mut server, &format!("ALTER DATABASE \"{database}\" OWNER TO CURRENT_USER")).await;
    let error = ledger.prepare(&mut bed.warehouse).await.expect_err("it may make no schema");
    assert_eq!(error.fault(), Fault::WarehouseAccessDenied, "{}", error.report());
    execute(&mut bed.warehouse, "ROLLBACK").await;
    execute(&mut server, "CREATE SCHEMA etl; GRANT USAGE, CREATE ON SCHEMA etl TO loader").await;
    ledger.prepare(&mut bed.warehouse).await.expect("the schema is there");
    execute(&mut server, "REVOKE CREATE ON SCHEMA etl FROM loader").await;
    ledger.prepare(&mut bed.warehouse).await.expect("the tables are there");
    bed.end().await;
}
