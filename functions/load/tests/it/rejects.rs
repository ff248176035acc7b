//! R6: facts never point at missing dimensions, and are never dropped for it.

use std::collections::BTreeMap;

use catalog::manifest::Reject;

use crate::shop::{Brings, HORIZON, Shop, brings, counts};

/// Rows that the transform could not take.
fn refused(key: &str, reason: &str, value: &str) -> Brings {
    let row = BTreeMap::from([("note".to_owned(), Some(value.to_owned()))]);
    let reject = Reject {
        key: key.split(',').map(|part| Some(part.to_owned())).collect(),
        reason: reason.to_owned(),
        told: reason.to_owned(),
        place: "line 2 of it".to_owned(),
        row,
    };
    Brings { rejects: vec![reject], ..brings("fact_line", &[]) }
}

#[tokio::test]
async fn a_fact_that_was_written_since_the_horizon_is_deferred_and_its_tables_prove_nothing() {
    let mut shop = Shop::open().await;
    let lines = Brings { version: HORIZON, ..brings("fact_line", &["7|a|1|NULL|x", "7|b|NULL|NULL|x"]) };
    let request = shop.batch("one", &[lines]).await;
    let loaded = shop.handle(&request).await.expect("it loads");
    assert_eq!(counts(&loaded, "fact_line"), [1, 0, 0, 1, 0]);
    assert_eq!((loaded.rejected, shop.rejected().await.as_str()), (0, "NULL"));
    let state = shop.state_of(&request.batch).await;
    let proves = |table: &str| {
        let found = state.tables.iter().find(|(name, _)| name.as_str() == table);
        found.expect("it is in the state").1.counters.is_some()
    };
    assert_eq!((proves("line"), proves("staff")), (false, true));
    shop.close().await;
}

#[tokio::test]
async fn a_fact_without_its_dimension_is_rejected_with_the_reason_and_loaded_when_it_comes() {
    let mut shop = Shop::open().await;
    let staff = brings("dim_staff", &["1|Ada"]);
    let loaded = shop.load("one", &[staff, brings("fact_line", &["7|a|1|2|x", "7|b|3|2|x", "7|c|1|1|x"])]).await;
    assert_eq!((counts(&loaded, "fact_line"), loaded.rejected), ([1, 0, 0, 0, 2], 2));
    let reasons = "7,a: packer 2 is not in dim_staff; 7,b: seller 3 is not in dim_staff; packer 2 is not in dim_staff";
    assert_eq!(shop.rejected().await, reasons);

    // Tried again, still without: known already, and not told again.
    let before = shop.ask("SELECT string_agg(ctid::text, ' ' ORDER BY source_key) FROM etl.reject").await;
    let quiet = shop.load("two", &[brings("fact_line", &["7|d|1|1|x"])]).await;
    assert_eq!((counts(&quiet, "fact_line"), quiet.rejected), ([1, 0, 0, 0, 0], 0));
    assert_eq!(shop.ask("SELECT string_agg(ctid::text, ' ' ORDER BY source_key) FROM etl.reject").await, before);

    // The batch brings nothing for the fact itself. The other row lacks less than before, which is told but not counted.
    let healed = shop.load("three", &[brings("dim_staff", &["2|Bob"])]).await;
    assert_eq!((counts(&healed, "fact_line"), healed.waiting), ([1, 0, 0, 0, 0], 1));
    assert_eq!(shop.rejected().await, "7,b: seller 3 is not in dim_staff");
    assert_eq!(shop.lines().await, "7|c|1|1|x; 7|d|1|1|x; 7|a|1|2|x");
    shop.close().await;
}

#[tokio::test]
async fn a_rejected_row_that_is_corrected_in_the_source_is_loaded_as_it_is_now() {
    let mut shop = Shop::open().await;
    let staff = brings("dim_staff", &["1|Ada"]);
    shop.load("one", &[staff, brings("fact_line", &["7|a|9|NULL|x"])]).await;
    let healed = shop.load("two", &[brings("fact_line", &["7|a|1|NULL|y"])]).await;
    assert_eq!(counts(&healed, "fact_line"), [1, 0, 0, 0, 0]);
    assert_eq!((shop.lines().await.as_str(), shop.rejected().await.as_str()), ("7|a|1|NULL|y", "NULL"));
    shop.close().await;
}

#[tokio::test]
async fn a_rejected_row_with_another_content_counts_again() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("fact_line", &["7|a|9|NULL|x"])]).await;
    let same = shop.load("two", &[brings("fact_line", &["7|a|9|NULL|x"])]).await;
    assert_eq!(counts(&same, "fact_line"), [0, 0, 0, 0, 0]);
    let other = shop.load("three", &[brings("fact_line", &["7|a|9|NULL|y"])]).await;
    assert_eq!(counts(&other, "fact_line"), [0, 0, 0, 0, 1]);
    let versions = "SELECT string_agg(batch || ' ' || (target_row ->> 'note'), '; ' ORDER BY number) FROM etl.reject";
    assert_eq!(shop.ask(versions).await, "one x; three y");
    shop.close().await;
}

#[tokio::test]
async fn a_row_that_the_transform_refused_is_kept_until_its_key_is_loaded() {
    let mut shop = Shop::open().await;
    let first = shop.load("one", &[refused("7,a", "note: too loud", "HA")]).await;
    assert_eq!(counts(&first, "fact_line"), [0, 0, 0, 0, 1]);
    assert_eq!(shop.rejected().await, "7,a: note: too loud");
    assert_eq!(shop.ask("SELECT source_row ->> 'note' FROM etl.reject WHERE target_row IS NULL").await, "HA");
    let same = shop.load("two", &[refused("7,a", "note: too loud", "HA")]).await;
    assert_eq!(counts(&same, "fact_line"), [0, 0, 0, 0, 0]);
    let other = shop.load("three", &[refused("7,a", "note: too loud", "HO")]).await;
    assert_eq!(counts(&other, "fact_line"), [0, 0, 0, 0, 1]);
    let healed = shop.load("four", &[brings("fact_line", &["7|a|NULL|NULL|ha"])]).await;
    assert_eq!(counts(&healed, "fact_line"), [1, 0, 0, 0, 0]);
    assert_eq!(shop.rejected().await, "NULL");
    shop.close().await;
}

#[tokio::test]
async fn a_key_that_is_longer_than_an_index_takes_is_kept_and_found_again() {
    let mut shop = Shop::open().await;
    // Nothing that can be compressed, and two that only their ends tell apart.
    let long: String =
        (1_u64..=200).map(|number| format!("{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    let (first, second) = (format!("{long}é1"), format!("{long}é2"));
    let waits = [format!("7|{first}|9|NULL|x"), format!("7|{second}|9|NULL|x")];
    let brought = brings("fact_line", &[&waits[0], &waits[1]]);
    let refused = |name: &str| refused(&format!("8,{name}"), "note: too loud", "HA");
    let bad = Brings { rejects: [refused(&first), refused(&second)].map(|brings| brings.rejects).concat(), ..brought };
    let loaded = shop.load("one", std::slice::from_ref(&bad)).await;
    assert_eq!((counts(&loaded, "fact_line"), loaded.waiting), ([0, 0, 0, 0, 4], 4));
    let again = shop.load("two", &[bad]).await;
    assert_eq!((counts(&again, "fact_line"), again.waiting), ([0, 0, 0, 0, 0], 4), "each is known again");
    assert_eq!(
        shop.ask(&format!("SELECT count(*) FROM etl.reject WHERE target_row ->> 'place' = '{first}'")).await,
        "1"
    );
    // The source has one of each left.
    let rows = [waits[0].as_str()];
    let whole = Brings { whole: true, rejects: refused(&second).rejects, ..brings("fact_line", &rows) };
    let left = shop.load("three", &[whole]).await;
    let rows = format!(
        "SELECT string_agg(source_key[1], ' ' ORDER BY number) FROM etl.reject WHERE coalesce(target_row ->> 'place', '{first}') = '{first}'"
    );
    assert_eq!((left.waiting, shop.ask(&rows).await.as_str()), (2, "7 8"));
    shop.close().await;
}
