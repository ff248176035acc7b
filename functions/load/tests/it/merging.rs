//! R3: what is in the warehouse already is not written again; what differs is, once.

use catalog::message::LoadStatus;

use crate::shop::{Shop, brings, counts};

#[tokio::test]
async fn a_first_load_makes_tables_keys_and_references() {
    let mut shop = Shop::open().await;
    let staff = brings("dim_staff", &["1|Ada", "2|NULL"]);
    let lines = brings("fact_line", &["7|a|1|2|x", "7|b|2|NULL|NULL"]);
    let loaded = shop.load("one", &[staff, lines]).await;
    assert_eq!((counts(&loaded, "dim_staff"), counts(&loaded, "fact_line")), ([2, 0, 0, 0, 0], [2, 0, 0, 0, 0]));
    assert_eq!(shop.lines().await, "7|a|1|2|x; 7|b|2|NULL|NULL");
    let constraints = "SELECT string_agg(conname || ' ' || contype::text, ', ' ORDER BY conname)
                         FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f') AND convalidated";
    assert_eq!(
        shop.ask(constraints).await,
        "dim_staff_pkey p, fact_line_packer_fkey f, fact_line_pkey p, fact_line_seller_fkey f"
    );
    let index = "SELECT indexdef FROM pg_indexes WHERE indexname = 'fact_line_version_idx'";
    assert!(shop.ask(index).await.ends_with("(number, place, version DESC)"));
    assert_eq!(shop.ask("SELECT base IS NULL AND batch = 'one' FROM etl.batch").await, "true");
    shop.close().await;
}

#[tokio::test]
async fn the_same_batch_again_moves_nothing_and_answers_what_it_did() {
    let mut shop = Shop::open().await;
    let request = shop.batch("one", &[brings("dim_staff", &["1|Ada"]), brings("fact_line", &["7|a|1|1|x"])]).await;
    let first = shop.handle(&request).await.expect("it loads");
    let before = shop.places().await;
    let again = shop.handle(&request).await.expect("it answers");
    assert_eq!(again.status, LoadStatus::AlreadyLoaded);
    assert_eq!((&again.targets, again.committed_at), (&first.targets, first.committed_at));
    assert_eq!(shop.places().await, before);
    shop.close().await;
}

#[tokio::test]
async fn the_same_rows_in_another_batch_move_nothing() {
    let mut shop = Shop::open().await;
    let all = [brings("dim_staff", &["1|Ada", "2|NULL"]), brings("fact_line", &["7|a|1|1|x", "7|b|NULL|2|NULL"])];
    shop.load("one", &all).await;
    let before = shop.places().await;
    let again = shop.load("two", &all).await;
    assert_eq!((counts(&again, "dim_staff"), counts(&again, "fact_line")), ([0, 0, 2, 0, 0], [0, 0, 2, 0, 0]));
    assert_eq!(shop.places().await, before);
    shop.close().await;
}

#[tokio::test]
async fn there_and_back_are_three_versions_and_standing_still_is_one() {
    let mut shop = Shop::open().await;
    for (name, note, expected) in [
        ("one", "A", [1, 0, 0, 0, 0]),
        ("two", "B", [0, 1, 0, 0, 0]),
        ("three", "A", [0, 1, 0, 0, 0]),
        ("four", "A", [0, 0, 1, 0, 0]),
    ] {
        let row = format!("7|a|NULL|NULL|{note}");
        let loaded = shop.load(name, &[brings("fact_line", &[&row])]).await;
        assert_eq!(counts(&loaded, "fact_line"), expected, "{name}");
    }
    assert_eq!(shop.lines().await, "7|a|NULL|NULL|A; 7|a|NULL|NULL|B; 7|a|NULL|NULL|A");
    shop.close().await;
}

#[tokio::test]
async fn a_dimension_is_written_only_where_it_differs() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("dim_staff", &["1|Ada", "2|Bob", "3|Cy"])]).await;
    let places = "SELECT string_agg(concat_ws(' ', ctid, xmin), '; ' ORDER BY id) FROM dim_staff WHERE id IN (1, 3)";
    let before = shop.ask(places).await;
    let loaded = shop.load("two", &[brings("dim_staff", &["1|Ada", "2|Bea", "3|Cy", "4|Di"])]).await;
    assert_eq!(counts(&loaded, "dim_staff"), [1, 1, 2, 0, 0]);
    assert_eq!(shop.ask(places).await, before);
    let names = "SELECT string_agg(name, ' ' ORDER BY id) FROM dim_staff";
    assert_eq!(shop.ask(names).await, "Ada Bea Cy Di");
    shop.close().await;
}

#[tokio::test]
async fn null_and_the_empty_text_are_two_values() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("dim_staff", &["1|NULL"]), brings("fact_line", &["7|a|1|1|NULL"])]).await;
    let loaded = shop.load("two", &[brings("dim_staff", &["1|"]), brings("fact_line", &["7|a|1|1|"])]).await;
    assert_eq!((counts(&loaded, "dim_staff"), counts(&loaded, "fact_line")), ([0, 1, 0, 0, 0], [0, 1, 0, 0, 0]));
    assert_eq!(shop.ask("SELECT name = '' FROM dim_staff").await, "true");
    assert_eq!(shop.lines().await, "7|a|1|1|NULL; 7|a|1|1|");
    shop.close().await;
}

#[tokio::test]
async fn all_columns_of_a_key_tell_rows_apart() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|x", "7|b|NULL|NULL|x", "8|a|NULL|NULL|x"])]).await;
    let loaded = shop.load("two", &[brings("fact_line", &["7|b|NULL|NULL|y", "8|b|NULL|NULL|x"])]).await;
    assert_eq!(counts(&loaded, "fact_line"), [1, 1, 0, 0, 0]);
    assert_eq!(shop.ask("SELECT count(*) FROM fact_line WHERE note = 'y'").await, "1");
    shop.close().await;
}

#[tokio::test]
async fn names_that_are_hard_to_quote_are_loaded_like_others() {
    let mut shop = Shop::with(include_str!("../hostile.toml")).await;
    shop.bed.warehouse_does("CREATE SCHEMA \"the \"\"star\"\"\"").await;
    let pair = "fact \"pair\"";
    let thing = brings("dim 'thing'", &["1|why|2.50"]);
    let loaded = shop
        .load("one", &[thing.clone(), brings("dim_bare", &["1"]), brings(pair, &["1|a|1|NULL|1|x|y", "2|a|9|8|1|x|y"])])
        .await;
    assert_eq!(counts(&loaded, pair), [1, 0, 0, 0, 1]);
    assert_eq!(shop.rejected().await, "2,a: s 9 is not in dim 'thing'; d0 8 is not in dim 'thing'");
    let more = brings("dim 'thing'", &["8|NULL|NULL", "9|why|NULL"]);
    let healed = shop.load("two", &[more, brings("dim_bare", &["1"]), brings(pair, &["1|a|1|NULL|1|x|z"])]).await;
    assert_eq!((counts(&healed, pair), counts(&healed, "dim_bare")), ([1, 1, 0, 0, 0], [0, 0, 1, 0, 0]));
    assert_eq!(shop.rejected().await, "NULL");
    let changed = shop.load("three", &[brings("dim 'thing'", &["1|why|2.51"])]).await;
    assert_eq!(counts(&changed, "dim 'thing'"), [0, 1, 0, 0, 0]);
    shop.close().await;
}

#[tokio::test]
async fn a_client_s_own_tables_keep_their_further_columns() {
    let mut shop = Shop::open().await;
    let own = "CREATE TABLE dim_staff (extra text DEFAULT 'theirs', name varchar, id int PRIMARY KEY, made timestamptz NOT NULL DEFAULT now());
               CREATE TABLE fact_line (note text, version bigint GENERATED ALWAYS AS IDENTITY, number int NOT NULL, place varchar NOT NULL,
                                       seller int REFERENCES dim_staff (id), packer int, remark text);
               INSERT INTO dim_staff (id, name) VALUES (1, 'Ada')";
    shop.bed.warehouse_does(own).await;
    let lines = brings("fact_line", &["7|a|1|2|x"]);
    let loaded = shop.load("one", &[brings("dim_staff", &["1|Ada", "2|Bob"]), lines]).await;
    assert_eq!((counts(&loaded, "dim_staff"), counts(&loaded, "fact_line")), ([1, 0, 1, 0, 0], [1, 0, 0, 0, 0]));
    assert_eq!(shop.ask("SELECT string_agg(extra, ' ') FROM dim_staff").await, "theirs theirs");
    let references = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'fact_line'::regclass";
    assert_eq!(shop.ask(references).await, "2", "the one that was missing is added, the other is not doubled");
    shop.bed.warehouse_does("UPDATE fact_line SET remark = 'seen'").await;
    let loaded = shop.load("two", &[brings("fact_line", &["7|a|1|2|y"])]).await;
    assert_eq!(counts(&loaded, "fact_line"), [0, 1, 0, 0, 0]);
    shop.close().await;
}

#[tokio::test]
async fn a_dimension_that_is_partitioned_is_written_where_it_differs() {
    let mut shop = Shop::open().await;
    let partitioned = "CREATE TABLE dim_staff (id integer PRIMARY KEY, name varchar) PARTITION BY HASH (id);
                       CREATE TABLE dim_staff_0 PARTITION OF dim_staff FOR VALUES WITH (MODULUS 2, REMAINDER 0);
                       CREATE TABLE dim_staff_1 PARTITION OF dim_staff FOR VALUES WITH (MODULUS 2, REMAINDER 1)";
    shop.bed.warehouse_does(partitioned).await;
    shop.load("one", &[brings("dim_staff", &["1|Ada", "2|Bob", "3|Cy"])]).await;
    let places =
        "SELECT string_agg(concat_ws(' ', tableoid, ctid, xmin), '; ' ORDER BY id) FROM dim_staff WHERE id IN (1, 3)";
    let before = shop.ask(places).await;
    let loaded = shop.load("two", &[brings("dim_staff", &["1|Ada", "2|Bea", "3|Cy", "4|Di"])]).await;
    assert_eq!(counts(&loaded, "dim_staff"), [1, 1, 2, 0, 0]);
    assert_eq!(shop.ask(places).await, before);
    assert_eq!(shop.ask("SELECT string_agg(name, ' ' ORDER BY id) FROM dim_staff").await, "Ada Bea Cy Di");
    shop.close().await;
}
