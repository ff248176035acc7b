//! The Parquet on S3 is read by others: pyarrow and DuckDB find the types and the values that Postgres has.

use expect_test::{Expect, expect};
use serde_json::Value;
use tokio::process::Command;

use crate::values::world_of_types;
use crate::world::World;

/// What a reader finds in a target's files of one batch.
async fn read(world: &World, reader: &str, pipeline: &str, target: &str, batch: &str) -> Value {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let python = format!("{root}/.venv/bin/python");
    assert!(std::path::Path::new(&python).is_file(), "the readers are not installed: run scripts/setup --tests");
    let folder = world.path(&format!("home/lake/{pipeline}-processed/{target}/{batch}"));
    let files = std::fs::read_dir(folder).expect("the target has objects").map(|file| file.expect("a file").path());
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "parquet"));
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_parquet.py")).arg(reader).args(files);
    let output = command.output().await.expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn types(found: &Value) -> String {
    let types = found["types"].as_object().expect("types");
    types.iter().map(|(name, kind)| format!("{name}: {}\n", kind.as_str().unwrap_or_default())).collect()
}

#[tokio::test]
async fn others_read_the_values_that_postgres_has() {
    let mut world = World::new().await;
    let run = world.load().await;
    for (target, columns) in [
        (
            "fact_sales_order",
            "sales_order_id, created_date, created_time, last_updated_date, last_updated_time, sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id, agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id",
        ),
        (
            "fact_payment",
            "payment_id, created_date, created_time, last_updated_date, last_updated_time, transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid, payment_date",
        ),
        ("dim_location", "location_id, address_line_1, address_line_2, district, city, postal_code, country, phone"),
        ("dim_date", "date_id, year, month, day, day_of_week, day_name, month_name, quarter"),
    ] {
        let texts: Vec<String> = columns.split(", ").map(|column| format!("{column}::text")).collect();
        let rows = format!(
            "SELECT json_agg(r) FROM (SELECT json_build_array({}) FROM {target}) AS rows (r)",
            texts.join(", ")
        );
        let mut expected: Vec<Value> = serde_json::from_str(&world.warehouse(&rows).await).expect("JSON");
        expected.sort_by_key(Value::to_string);
        for reader in ["pyarrow", "duckdb"] {
            let found = read(&world, reader, "totesys", target, &run.name).await;
            let rows = found["rows"].as_array().expect("rows").iter();
            // The last column is the row's transaction id.
            let row = |row: &Value| Value::from(row.as_array().expect("a row")[..texts.len()].to_vec());
            let mut rows: Vec<Value> = rows.map(row).collect();
            rows.sort_by_key(Value::to_string);
            assert!(rows == expected, "{reader} reads other values of {target}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn every_type_is_the_right_one() {
    let mut world = world_of_types("").await;
    world.application("INSERT INTO thing (id) VALUES (1)").await;
    let run = world.load().await;
    let check = async |reader: &str, expected: Expect| {
        expected.assert_eq(&types(&read(&world, reader, "types", "fact_thing", &run.name).await));
    };
    check(
        "pyarrow",
        expect![[r#"
        A "quoted" näme: string
        _xmin: int64
        a_big: int64
        a_bool: bool
        a_date: date32[day]
        a_double: double
        a_json: string
        a_money: decimal128(10, 2)
        a_real: float
        a_small: int16
        a_stamp: timestamp[us]
        a_text: string
        a_time: time64[us]
        a_uuid: string
        a_wide: decimal128(38, 10)
        a_zoned: timestamp[us, tz=UTC]
        id: int32
    "#]],
    )
    .await;
    check(
        "duckdb",
        expect![[r#"
        A "quoted" näme: VARCHAR
        _xmin: BIGINT
        a_big: BIGINT
        a_bool: BOOLEAN
        a_date: DATE
        a_double: DOUBLE
        a_json: VARCHAR
        a_money: DECIMAL(10,2)
        a_real: FLOAT
        a_small: SMALLINT
        a_stamp: TIMESTAMP
        a_text: VARCHAR
        a_time: TIME
        a_uuid: VARCHAR
        a_wide: DECIMAL(38,10)
        a_zoned: TIMESTAMP WITH TIME ZONE
        id: INTEGER
    "#]],
    )
    .await;
    world.stop().await;
}
