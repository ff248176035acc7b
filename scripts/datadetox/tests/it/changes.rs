//! After a change in the source, one run brings exactly that change (R1, R2, R3, R7).

use sqlx::{ConnectOptions as _, Connection as _};

use crate::world::{World, execute};

/// A loaded stack.
async fn loaded() -> World {
    let mut world = World::new().await;
    world.load().await;
    world
}

impl World {
    /// Changes the source, runs once, and insists on what that added and updated, target by target.
    async fn brings(&mut self, change: &str, expected: &[(&str, [u64; 2])]) {
        self.application(change).await;
        let run = self.load().await;
        let expected: Vec<_> = expected.iter().map(|(name, counts)| ((*name).to_owned(), *counts)).collect();
        assert_eq!(run.changed(), expected, "{change}");
        self.assert_same_as_source().await;
    }
}

#[tokio::test]
async fn a_new_order_arrives_with_its_transaction_and_payment() {
    let mut world = loaded().await;
    world.log_source_reads().await;
    let order = "
        INSERT INTO sales_order VALUES (900001, '2026-01-05 10:00:00.19', '2026-01-05 10:00:00.19', 1, 2, 3, 5000, 3.25, 1,
                                        '2026-01-09', '2026-01-08', 4);
        INSERT INTO transaction VALUES (900001, 'SALE', 900001, NULL, '2026-01-05 10:00:00.19', '2026-01-05 10:00:00.19');
        INSERT INTO payment VALUES (900001, '2026-01-05 10:00:00.19', '2026-01-05 10:00:00.19', 900001, 3, 16250.00, 1, 1, false,
                                    '2026-01-08', 12345678, 23456789)";
    let targets =
        [("dim_date", [3, 0]), ("dim_transaction", [1, 0]), ("fact_payment", [1, 0]), ("fact_sales_order", [1, 0])];
    world.brings(order, &targets).await;
    // Only what changed was read.
    assert_eq!((world.source_reads(""), world.source_reads("purchase_order")), (3, 0));
    world.stop().await;
}

#[tokio::test]
async fn a_changed_order_is_a_new_version_whether_or_not_last_updated_moved() {
    let mut world = loaded().await;
    let moved = "UPDATE sales_order SET units_sold = units_sold + 1, last_updated = created_at + interval '1 hour' WHERE sales_order_id = 7";
    world.brings(moved, &[("fact_sales_order", [0, 1])]).await;
    let silent = "UPDATE sales_order SET design_id = 1 + design_id % 400 WHERE sales_order_id = 7";
    world.brings(silent, &[("fact_sales_order", [0, 1])]).await;
    let versions = "SELECT count(*) FROM fact_sales_order WHERE sales_order_id = 7";
    assert_eq!(world.warehouse(versions).await, "3");
    world.stop().await;
}

#[tokio::test]
async fn a_change_undone_gives_three_versions_and_a_touch_none() {
    let mut world = loaded().await;
    let set = |units: u32| format!("UPDATE sales_order SET units_sold = {units} WHERE sales_order_id = 3");
    world.brings(&set(1001), &[("fact_sales_order", [0, 1])]).await;
    world.brings(&set(2002), &[("fact_sales_order", [0, 1])]).await;
    world.brings(&set(1001), &[("fact_sales_order", [0, 1])]).await;
    world.brings(&set(1001), &[]).await;
    let versions = "SELECT string_agg(units_sold::text, ' ' ORDER BY sales_record_id) FROM
                    (SELECT * FROM fact_sales_order WHERE sales_order_id = 3 ORDER BY sales_record_id DESC LIMIT 3) v";
    assert_eq!(world.warehouse(versions).await, "1001 2002 1001");
    world.stop().await;
}

#[tokio::test]
async fn payments_are_paid_in_the_morning() {
    let mut world = loaded().await;
    let unpaid: u64 = world.source_value("SELECT count(*) FROM payment WHERE NOT paid").await.parse().expect("a count");
    assert!(unpaid > 0);
    let paid = "UPDATE payment SET paid = true, last_updated = '2026-02-03 07:55:11.407' WHERE NOT paid";
    world.brings(paid, &[("dim_date", [1, 0]), ("fact_payment", [0, unpaid])]).await;
    world.stop().await;
}

#[tokio::test]
async fn a_dimension_follows_everything_it_is_joined_from() {
    let mut world = loaded().await;
    let department = "(SELECT department_id FROM staff GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)";
    let members = world.source_value(&format!("SELECT count(*) FROM staff WHERE department_id = {department}")).await;
    let members: u64 = members.parse().expect("a count");
    assert!(members > 1);
    let rename = format!("UPDATE department SET department_name = 'Totes & Co' WHERE department_id = {department}");
    world.brings(&rename, &[("dim_staff", [0, members])]).await;

    let address = "(SELECT legal_address_id FROM counterparty ORDER BY counterparty_id LIMIT 1)";
    let parties =
        world.source_value(&format!("SELECT count(*) FROM counterparty WHERE legal_address_id = {address}")).await;
    let parties: u64 = parties.parse().expect("a count");
    let moved = format!("UPDATE address SET city = 'Ankh-Morpork', district = NULL WHERE address_id = {address}");
    world.brings(&moved, &[("dim_counterparty", [0, parties]), ("dim_location", [0, 1])]).await;

    // A department nobody needs any more changes nothing, and an unknown location reads as the catalogue says.
    let unused = "INSERT INTO department VALUES (99, 'Nobody''s', NULL, NULL, now(), now())";
    world.brings(unused, &[]).await;
    let joins = "UPDATE staff SET department_id = 99 WHERE staff_id = 1";
    world.brings(joins, &[("dim_staff", [0, 1])]).await;
    assert_eq!(world.warehouse("SELECT location FROM dim_staff WHERE staff_id = 1").await, "Unknown");
    world.stop().await;
}

#[tokio::test]
async fn a_row_committed_late_is_not_lost() {
    let mut world = loaded().await;
    let mut late = world.options_of_application().connect().await.expect("the source answers");
    let insert = |id: u32| {
        format!(
            "INSERT INTO sales_order VALUES ({id}, '2024-03-05 10:00:00', '2024-03-05 10:00:00', 1, 2, 3, 5000, 3.25, 1, \
             '2024-03-09', '2024-03-08', 4)"
        )
    };
    execute(&mut late, "BEGIN").await;
    execute(&mut late, &insert(900_001)).await;
    execute(&mut late, &format!("SAVEPOINT inner_one; {}; RELEASE inner_one", insert(900_002))).await;
    // A later transaction commits first, and a run reads past the open one.
    world.application(&insert(900_003)).await;
    let first = world.load().await;
    assert_eq!(first.counts("fact_sales_order")[0], 1);
    execute(&mut late, "COMMIT").await;
    late.close().await.expect("a connection closes");
    let second = world.load().await;
    assert_eq!(second.counts("fact_sales_order")[..2], [2, 0]);
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn an_order_far_in_the_future_gets_its_dates() {
    let mut world = loaded().await;
    let order = "INSERT INTO sales_order SELECT 900001, created_at, last_updated, design_id, staff_id, counterparty_id, units_sold,
                   unit_price, currency_id, (created_at::date + 649)::text, agreed_payment_date, agreed_delivery_location_id
                   FROM sales_order ORDER BY sales_order_id DESC LIMIT 1";
    world.brings(order, &[("dim_date", [1, 0]), ("fact_sales_order", [1, 0])]).await;
    world.stop().await;
}

#[tokio::test]
async fn hostile_text_arrives_as_it_was() {
    let mut world = loaded().await;
    let texts = [
        "O''Keefe; DROP TABLE fact_sales_order; --",
        "a \"quoted\", comma''d\nand\r\nbroken\tline",
        "\\N",
        "\\.",
        "NULL",
        "NA",
        "",
        " ",
        "007",
        "1e5",
        "Größe 🛍️ 手提袋 \u{202e}rtl",
        "'''",
        "\\\\server\\share",
        "{\"json\": [1, null]}",
    ];
    for (number, text) in texts.iter().enumerate() {
        let text = text.replace("'''", "''''''");
        world
            .application(&format!(
                "INSERT INTO design VALUES ({}, '2026-01-01', '{text}', '{text}', 'f', '2026-01-01');
                 UPDATE address SET address_line_2 = '{text}', postal_code = '{text}' WHERE address_id = {};",
                10_000 + number,
                1 + number
            ))
            .await;
    }
    world.application("UPDATE address SET address_line_2 = NULL WHERE address_id = 20").await;
    world.load().await;
    world.assert_same_as_source().await;
    assert_eq!(world.warehouse("SELECT count(*) FROM dim_design WHERE design_name = ''").await, "1");
    assert_eq!(world.warehouse("SELECT count(*) FROM dim_design WHERE design_name = '\\N'").await, "1");
    assert_eq!(world.warehouse("SELECT postal_code FROM dim_location WHERE location_id = 9").await, "007");
    // What was read back is what is there: nothing looks changed the next time.
    let again = world.run_with(serde_json::json!({ "full": true })).await;
    assert_eq!(again.changed(), []);
    world.stop().await;
}

#[tokio::test]
async fn a_trading_application_is_followed_change_by_change() {
    let mut world = loaded().await;
    let mut trader = world.trader(7).await;
    for _ in 0..6 {
        for _ in 0..9 {
            trader.step().await.expect("a trade");
        }
        world.load().await;
    }
    drop(trader);
    world.load().await;
    world.assert_same_as_source().await;
    assert_eq!(world.warehouse("SELECT count(*) FROM etl.reject").await, "0");
    world.stop().await;
}
