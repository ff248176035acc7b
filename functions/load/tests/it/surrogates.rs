//! Surrogate keys that others gave out: the newest version of a key must have the highest one.

use catalog::{Fault, Side};
use testbed::execute;

use crate::shop::{Shop, brings, counts};

const VERSIONS: &str = "SELECT string_agg(concat_ws(' ', version, place, note), '; ' ORDER BY version) FROM fact_line";

#[tokio::test]
async fn a_sequence_that_is_behind_its_table_is_put_right() {
    for (key, sequence) in [
        ("version serial PRIMARY KEY", "pg_get_serial_sequence('fact_line', 'version')"),
        ("version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "pg_get_serial_sequence('fact_line', 'version')"),
        ("version bigint DEFAULT nextval('\"Our own\"') PRIMARY KEY", "'\"Our own\"'"),
    ] {
        let mut shop = Shop::open().await;
        let own = format!(
            "CREATE SEQUENCE \"Our own\"; CREATE TABLE fact_line ({key}, number integer NOT NULL, place varchar NOT NULL,
                                                                 seller integer, packer integer, note varchar)"
        );
        shop.bed.warehouse_does(&own).await;
        shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|A", "7|b|NULL|NULL|A"])]).await;
        shop.load("two", &[brings("fact_line", &["7|a|NULL|NULL|B", "7|b|NULL|NULL|B"])]).await;
        // As a restore of the rows alone leaves it: never used, then used once.
        for (name, note, state) in [("three", "C", "1, false"), ("four", "D", "1, true")] {
            shop.ask(&format!("SELECT setval({sequence}, {state})")).await;
            let loaded = shop.load(name, &[brings("fact_line", &[&format!("7|a|NULL|NULL|{note}")])]).await;
            assert_eq!(counts(&loaded, "fact_line"), [0, 1, 0, 0, 0], "{key}");
        }
        assert_eq!(shop.ask(VERSIONS).await, "1 a A; 2 b A; 3 a B; 4 b B; 5 a C; 6 a D", "{key}");
        // What waited is written as well.
        shop.load("waits", &[brings("fact_line", &["7|c|9|NULL|A"])]).await;
        shop.ask(&format!("SELECT setval({sequence}, 2)")).await;
        shop.load("healed", &[brings("dim_staff", &["9|Di"])]).await;
        assert_eq!(shop.ask("SELECT max(version) FROM fact_line").await, "7", "{key}");
        // One that is ahead is left alone.
        shop.ask(&format!("SELECT setval({sequence}, 99)")).await;
        shop.load("ahead", &[brings("fact_line", &["7|a|NULL|NULL|E"])]).await;
        assert_eq!(shop.ask("SELECT max(version) FROM fact_line").await, "100", "{key}");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_sequence_that_the_role_may_not_set_is_told_with_the_statement() {
    let mut shop = Shop::open().await;
    let mut owner = shop.bed.superuser(Side::Warehouse).await;
    let theirs = "
        CREATE TABLE fact_line (version serial, number integer NOT NULL, place varchar NOT NULL, seller integer, packer integer, note varchar);
        GRANT SELECT, INSERT, UPDATE ON fact_line TO loader; GRANT USAGE ON SEQUENCE fact_line_version_seq TO loader";
    execute(&mut owner, theirs).await;
    shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|A"])]).await;
    // Without an index on the key, rows that were put back would be newer than all that come.
    execute(
        &mut owner,
        "TRUNCATE fact_line; INSERT INTO fact_line (version, number, place, note) VALUES (50, 7, 'a', 'Z')",
    )
    .await;
    let request = shop.batch("two", &[brings("fact_line", &["7|a|NULL|NULL|B"])]).await;
    let statement = r#"SELECT setval('"public"."fact_line_version_seq"', 50)"#;
    shop.refuses(&request, Fault::WarehouseAccessDenied, &["fact_line.version has 50", statement]).await;
    execute(&mut owner, statement).await;
    shop.handle(&request).await.expect("it loads");
    assert_eq!(shop.ask(VERSIONS).await, "50 a Z; 51 a B");
    shop.close().await;
}

#[tokio::test]
async fn a_surrogate_key_of_another_kind_is_left_to_its_owner() {
    let mut shop = Shop::open().await;
    let own =
        "CREATE SEQUENCE letters; CREATE TABLE fact_line (version text DEFAULT 'v' || nextval('letters') PRIMARY KEY,
                   number integer NOT NULL, place varchar NOT NULL, seller integer, packer integer, note varchar)";
    shop.bed.warehouse_does(own).await;
    shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|A"])]).await;
    shop.load("two", &[brings("fact_line", &["7|a|NULL|NULL|B"])]).await;
    assert_eq!(shop.ask(VERSIONS).await, "v1 a A; v2 a B");
    shop.close().await;
}
