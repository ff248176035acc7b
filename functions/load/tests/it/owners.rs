//! Warehouses that others made, and that serve more than one pipeline.

use catalog::message::LoadStatus;
use catalog::{Fault, Side};
use testbed::{Testbed, execute};

use crate::shop::{CATALOGUE, Shop, brings, counts};

/// The tables of a client.
const TABLES: &str = "
    CREATE TABLE dim_staff (id integer PRIMARY KEY, name varchar);
    CREATE TABLE fact_line (version serial PRIMARY KEY, number integer NOT NULL, place varchar NOT NULL, seller integer,
                            packer integer REFERENCES dim_staff, note varchar);
    GRANT SELECT, INSERT, UPDATE ON dim_staff, fact_line TO loader;
    GRANT USAGE ON SEQUENCE fact_line_version_seq TO loader";

/// Takes from the loader all that owners have, and gives the schemas to the client.
async fn provision(shop: &Shop, more: &str) {
    let mut owner = shop.bed.superuser(Side::Warehouse).await;
    let database = shop.bed.database(Side::Warehouse).replace('"', "\"\"");
    let taken = format!(
        "ALTER DATABASE \"{database}\" OWNER TO CURRENT_USER; ALTER SCHEMA public OWNER TO CURRENT_USER;
         REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO loader; {TABLES}; {more}"
    );
    execute(&mut owner, &taken).await;
}

#[tokio::test]
async fn a_role_that_may_only_write_rows_loads_what_others_made() {
    let mut shop = Shop::open().await;
    // The ledger, as another pipeline left it, is the client's too.
    ledger::Ledger::of(&shop.bed.catalog().clone()).prepare(&mut shop.bed.warehouse).await.expect("it is made");
    let own = "ALTER SCHEMA etl OWNER TO CURRENT_USER; ALTER TABLE etl.batch OWNER TO CURRENT_USER;
               ALTER TABLE etl.target OWNER TO CURRENT_USER; ALTER TABLE etl.reject OWNER TO CURRENT_USER;
               GRANT USAGE ON SCHEMA etl TO loader; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA etl TO loader";
    provision(&shop, own).await;
    let lines = brings("fact_line", &["7|a|1|NULL|x", "7|b|9|NULL|x"]);
    let first = shop.load("one", &[brings("dim_staff", &["1|Ada"]), lines]).await;
    assert_eq!(counts(&first, "fact_line"), [1, 0, 0, 0, 1]);
    let second =
        shop.load("two", &[brings("dim_staff", &["1|Ann", "9|Bob"]), brings("fact_line", &["7|a|1|NULL|y"])]).await;
    assert_eq!((counts(&second, "dim_staff"), counts(&second, "fact_line")), ([1, 1, 0, 0, 0], [1, 1, 0, 0, 0]));
    assert_eq!((second.waiting, shop.rejected().await.as_str()), (0, "NULL"));
    let constraints = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'fact_line'::regclass AND contype = 'f'";
    assert_eq!(shop.ask(constraints).await, "1", "what the owner did not make is not made");
    shop.close().await;
}

#[tokio::test]
async fn a_ledger_of_its_own_is_all_that_such_a_role_has_to_make() {
    let mut shop = Shop::open().await;
    let database = shop.bed.database(Side::Warehouse).replace('"', "\"\"");
    provision(&shop, &format!("GRANT CREATE ON DATABASE \"{database}\" TO loader")).await;
    let loaded = shop.load("one", &[brings("dim_staff", &["1|Ada"]), brings("fact_line", &["7|a|1|NULL|x"])]).await;
    assert_eq!(counts(&loaded, "fact_line"), [1, 0, 0, 0, 0]);
    shop.close().await;
}

#[tokio::test]
async fn a_target_belongs_to_the_pipeline_that_loaded_it() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("dim_staff", &["1|Ada"])]).await;
    let request = shop.batch("two", &[brings("dim_staff", &["2|Bob"])]).await;
    shop.bed.warehouse_does("UPDATE etl.target SET pipeline = 'another' WHERE target = 'dim_staff'").await;
    shop.refuses(&request, Fault::WarehouseTargetTaken, &["dim_staff belongs to the pipeline another"]).await;
    assert_eq!(shop.ask("SELECT string_agg(name, ' ') FROM dim_staff").await, "Ada");
    shop.bed.warehouse_does("DELETE FROM etl.target WHERE pipeline = 'another'").await;
    assert_eq!(shop.handle(&request).await.expect("it loads").status, LoadStatus::Loaded);
    shop.close().await;
}

#[tokio::test]
async fn the_first_loads_of_two_pipelines_at_once_both_succeed() {
    let mut shop = Shop::open().await;
    let request = shop.batch("one", &[brings("dim_staff", &["1|Ada"])]).await;
    // The other pipeline has targets of its own in the same schema, and batches of the same name.
    let catalogue =
        CATALOGUE.replace("'shop'", "'other'").replace("dim_staff", "dim_people").replace("fact_line", "fact_post");
    let database = shop.bed.database(Side::Warehouse).to_owned();
    let told = |secret: String| {
        let mut secret: serde_json::Value = serde_json::from_str(&secret).expect("it is JSON");
        secret["dbname"] = database.into();
        secret.to_string()
    };
    let other = Shop { bed: Testbed::with_warehouse_secret(&catalogue, told).await, newest: None };
    let theirs = other.batch("one", &[brings("dim_people", &["1|Ada"])]).await;
    // Both find nothing: neither may make the schema before the other has looked.
    let holder = shop
        .bed
        .hold(Side::Warehouse, "SELECT pg_advisory_xact_lock(hashtext('datadetox ledger'), hashtext('etl'))")
        .await;
    let (ours, theirs, ()) = tokio::join!(shop.handle(&request), other.handle(&theirs), shop.release(holder, 2));
    for loaded in [ours, theirs] {
        assert_eq!(loaded.expect("it loads").status, LoadStatus::Loaded);
    }
    let batches = "SELECT string_agg(concat_ws(' ', pipeline, number, batch), ', ' ORDER BY pipeline) FROM etl.batch";
    assert_eq!(shop.ask(batches).await, "other 1 one, shop 1 one");
    other.close().await;
    shop.close().await;
}
