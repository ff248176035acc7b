//! What can break, breaks with a name, and nothing of the batch is visible.

use std::path::PathBuf;
use std::time::Duration;

use catalog::message::LoadRequest;
use catalog::{Fault, Side};
use testbed::{ask, execute};

use crate::shop::{Brings, CATALOGUE, Shop, brings, counts};

impl Shop {
    /// The file of a batch's only part of the fact.
    fn part(&self, request: &LoadRequest) -> PathBuf {
        let name = self.bed.stack.deployment.bucket(catalog::key::Bucket::Processed);
        let lake = self.bed.folder.path().join("home/lake").join(name);
        let folder = lake.join(format!("fact_line/{}", request.batch.name));
        let files = std::fs::read_dir(&folder).expect("the batch has objects");
        let mut parts = files.map(|file| file.expect("it can be read").path());
        parts.find(|path| path.to_string_lossy().contains("part-")).expect("the batch has a part")
    }

    /// Whether nothing of a batch is there.
    async fn is_untouched(&mut self) -> bool {
        self.ask("SELECT (SELECT count(*) FROM etl.batch) + (SELECT count(*) FROM etl.target)").await == "0"
            && self.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await == "0"
    }
}

#[tokio::test]
async fn a_key_that_stands_twice_in_a_batch_is_refused_where_it_must_be_looked_at() {
    let mut shop = Shop::open().await;
    let lines = brings("fact_line", &["7|a|NULL|NULL|x", "7|b|NULL|NULL|x", "7|a|NULL|NULL|y"]);
    let request = shop.batch("one", &[Brings { verify_key: true, ..lines }]).await;
    shop.refuses(
        &request,
        Fault::DataRejected,
        &["the key (number, place) of fact_line is not unique in its source: number 7, place (text); \
           ask the source: SELECT \"number\", \"place\" FROM \"public\".\"line\" GROUP BY \"number\", \"place\" HAVING count(*) > 1"],
    )
    .await;
    assert!(shop.is_untouched().await);
    shop.close().await;
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused_with_every_difference() {
    let mut shop = Shop::open().await;
    let own = "CREATE TABLE dim_staff (id int PRIMARY KEY, forename varchar);
               CREATE TABLE fact_line (version serial, number int, place text, seller text, packer int, note varchar, must text NOT NULL)";
    shop.bed.warehouse_does(own).await;
    let request = shop.batch("one", &[brings("dim_staff", &["1|Ada"])]).await;
    let words = [
        "dim_staff.name does not exist (pipeline.toml, line ",
        "fact_line.seller is text where the catalogue says integer",
        "fact_line.must needs a value, and the catalogue gives it none",
    ];
    shop.refuses(&request, Fault::WarehouseSchemaMismatch, &words).await;
    assert_eq!(shop.ask("SELECT count(*) FROM dim_staff").await, "0");
    shop.bed.warehouse_does("DROP TABLE dim_staff, fact_line").await;
    shop.handle(&request).await.expect("it loads");
    shop.close().await;
}

#[tokio::test]
async fn damaged_parquet_is_named_and_nothing_is_visible() {
    let mut shop = Shop::open().await;
    let request = shop.batch("one", &[brings("dim_staff", &["1|Ada"]), brings("fact_line", &["7|a|1|1|x"])]).await;
    let part = shop.part(&request);
    let good = std::fs::read(&part).expect("it can be read");
    let mut altered = good.clone();
    altered[good.len() / 2] ^= 0x40;
    std::fs::write(&part, &altered).expect("it can be written");
    shop.refuses(&request, Fault::LakeCorrupt, &["fact_line/one/part-000001", "SHA-256 differs"]).await;
    std::fs::write(&part, &good[..30]).expect("it can be written");
    shop.refuses(&request, Fault::LakeCorrupt, &["has 30 bytes, its manifest says"]).await;
    std::fs::remove_file(&part).expect("it can be removed");
    shop.refuses(&request, Fault::LakeCorrupt, &["is missing"]).await;
    assert!(shop.is_untouched().await);
    std::fs::write(&part, &good).expect("it can be written");
    shop.handle(&request).await.expect("it loads");
    assert_eq!(shop.lines().await, "7|a|1|1|x");
    shop.close().await;
}

#[tokio::test]
async fn a_load_killed_in_its_transaction_leaves_nothing_and_can_be_tried_again() {
    let mut shop = Shop::with(&CATALOGUE.replace("100ms", "1m")).await;
    shop.load("one", &[brings("dim_staff", &["1|Ada"])]).await;
    let before = shop.places().await;
    let request = shop.batch("two", &[brings("dim_staff", &["1|Bea"]), brings("fact_line", &["7|a|1|1|x"])]).await;
    // The load waits for the fact's table: by then it has written the dimension.
    let mut holder = shop.bed.hold(Side::Warehouse, "LOCK TABLE fact_line").await;
    let mut other = shop.bed.superuser(Side::Warehouse).await;
    let kill = async {
        let waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks JOIN pg_stat_activity USING (pid)
                        WHERE NOT granted AND relation = 'fact_line'::regclass AND datname = current_database()";
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while ask(&mut other, waiting).await == "0" {
            looks.tick().await;
        }
    };
    let (answer, ()) = tokio::join!(shop.handle(&request), kill);
    let error = answer.expect_err("its connection is gone");
    assert_eq!(error.fault(), Fault::WarehouseUnavailable, "{}", error.report());
    execute(&mut holder, "ROLLBACK").await;
    assert_eq!(shop.places().await, before);
    let loaded = shop.handle(&request).await.expect("it loads");
    assert_eq!((counts(&loaded, "dim_staff"), counts(&loaded, "fact_line")), ([0, 1, 0, 0, 0], [1, 0, 0, 0, 0]));
    shop.close().await;
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_busy() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("dim_staff", &["1|Ada"])]).await;
    let request = shop.batch("two", &[brings("dim_staff", &["1|Bea"])]).await;
    let mut holder = shop.bed.hold(Side::Warehouse, "LOCK TABLE dim_staff").await;
    shop.refuses(&request, Fault::WarehouseBusy, &["dim_staff", "lock timeout"]).await;
    execute(&mut holder, "ROLLBACK").await;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('datadetox'), hashtext('shop'))";
    let mut holder = shop.bed.hold(Side::Warehouse, lock).await;
    shop.refuses(&request, Fault::WarehouseBusy, &["another load of this pipeline does not end"]).await;
    execute(&mut holder, "ROLLBACK").await;
    shop.handle(&request).await.expect("it loads");
    shop.close().await;
}

#[tokio::test]
async fn a_role_that_may_create_nothing_is_access_denied() {
    let shop = Shop::open().await;
    let mut server = shop.bed.superuser(Side::Warehouse).await;
    let database = shop.bed.database(Side::Warehouse).replace('"', "\"\"");
    execute(&mut server, &format!("ALTER DATABASE \"{database}\" OWNER TO CURRENT_USER")).await;
    execute(&mut server, "ALTER SCHEMA public OWNER TO CURRENT_USER; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let request = shop.batch("one", &[brings("dim_staff", &["1|Ada"])]).await;
    shop.refuses(&request, Fault::WarehouseAccessDenied, &["cannot make the schema etl", "permission denied"]).await;
    execute(&mut server, &format!("GRANT CREATE ON DATABASE \"{database}\" TO loader")).await;
    shop.refuses(&request, Fault::WarehouseAccessDenied, &["dim_staff", "permission denied for schema public"]).await;
    execute(&mut server, "GRANT CREATE ON SCHEMA public TO loader").await;
    shop.handle(&request).await.expect("it loads");
    shop.close().await;
}

#[tokio::test]
async fn a_value_that_the_warehouse_refuses_is_told_by_target_column_and_key_and_never_shown() {
    let catalogue = CATALOGUE.replace("note = 'text null'", "note = 'json null'");
    let mut shop = Shop::with(&catalogue.replace("note = 'note'", "note = { from = 'note', type = 'jsonb' }")).await;
    // What the transform refuses itself, and what is too deep for the server.
    let deep = format!("{}\"secret\"{}", "[".repeat(20_000), "]".repeat(20_000));
    for (name, value, what) in [
        ("one", r#"{"a": "\u0000 secret"}"#, "22P05 (untranslatable character)"),
        ("two", &deep, "stack depth limit exceeded"),
    ] {
        let rows =
            ["7|a|NULL|NULL|{}".to_owned(), "7|b|NULL|NULL|NULL".to_owned(), format!("7|c, d|NULL|NULL|{value}")];
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let request = shop.batch(name, &[brings("fact_line", &rows)]).await;
        let told = format!(
            "cannot copy the rows of fact_line: note of the row number 7, place (text), 3 in fact_line/{name}/part-000001-first.parquet: {what}"
        );
        shop.refuses(&request, Fault::DataRejected, &[&told]).await;
        let report = shop.handle(&request).await.expect_err("it fails").report();
        assert!(!report.contains("secret"), "{report}");
    }
    assert!(shop.is_untouched().await || shop.ask("SELECT count(*) FROM fact_line").await == "0");
    shop.close().await;
}
