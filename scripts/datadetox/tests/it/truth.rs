//! Postgres as the oracle: the source copied beside the warehouse, and every column of every table compared there.

use std::path::Path;

use futures_util::TryStreamExt as _;

use totesys::{SCHEMA, TABLES};

use crate::world::{World, ask, execute};

const EXPECTED: &str = include_str!("expected.sql");

/// Dimensions, then facts with their surrogate and source keys.
const DIMENSIONS: [&str; 8] = [
    "dim_counterparty",
    "dim_currency",
    "dim_date",
    "dim_design",
    "dim_location",
    "dim_payment_type",
    "dim_staff",
    "dim_transaction",
];
const FACTS: [(&str, &str, &str); 3] = [
    ("fact_sales_order", "sales_record_id", "sales_order_id"),
    ("fact_purchase_order", "purchase_record_id", "purchase_order_id"),
    ("fact_payment", "payment_record_id", "payment_id"),
];

impl World {
    /// Insists that dimensions and the newest versions of all facts are what SQL over the source says, column by column.
    pub(crate) async fn assert_same_as_source(&mut self) {
        self.copy_source().await;
        for dimension in DIMENSIONS {
            self.assert_equal(dimension, &format!("SELECT * FROM {dimension}")).await;
        }
        for (fact, surrogate, key) in FACTS {
            let newest = format!("SELECT DISTINCT ON ({key}) * FROM {fact} ORDER BY {key}, {surrogate} DESC");
            self.assert_equal(fact, &newest).await;
        }
    }

    /// Writes one CSV file a source table, as `COPY` does.
    pub(crate) async fn dump_source(&mut self, folder: &Path) {
        for table in TABLES {
            let rows = self.source.copy_out_raw(&format!("COPY {table} TO STDOUT (FORMAT csv, HEADER)")).await;
            let rows: Vec<_> = rows.expect("it can be read").try_collect().await.expect("the source answers");
            std::fs::write(folder.join(format!("{table}.csv")), rows.concat()).expect("a temporary file");
        }
    }

    async fn copy_source(&mut self) {
        let schema = "DROP SCHEMA IF EXISTS truth CASCADE; CREATE SCHEMA truth; SET search_path = truth;";
        execute(&mut self.warehouse, &format!("{schema} {SCHEMA} SET search_path = public;")).await;
        for table in TABLES {
            // By name and as text: a test may have changed the table's shape.
            let columns = self.columns(table).await;
            let rows = self.source.copy_out_raw(&format!("COPY {table} ({columns}) TO STDOUT")).await;
            let mut rows = rows.expect("the application reads its own table");
            let into = format!("COPY truth.{table} ({columns}) FROM STDIN");
            let mut copy = self.warehouse.copy_in_raw(&into).await.expect("the copy has the same columns");
            while let Some(row) = rows.try_next().await.expect("the source answers") {
                copy.send(&row[..]).await.expect("the warehouse answers");
            }
            copy.finish().await.expect("the copy is whole");
        }
        execute(&mut self.warehouse, EXPECTED).await;
    }

    async fn assert_equal(&mut self, target: &str, loaded: &str) {
        let columns = self.columns(target).await;
        let differences = format!(
            "WITH loaded AS (SELECT {columns} FROM ({loaded}) AS newest), expected AS (SELECT {columns} FROM truth.{target})
             SELECT json_agg(d) FROM ((SELECT 'only loaded' AS side, * FROM (TABLE loaded EXCEPT ALL TABLE expected) AS a)
                                      UNION ALL
                                      (SELECT 'only expected', * FROM (TABLE expected EXCEPT ALL TABLE loaded) AS b)
                                      LIMIT 6) AS d"
        );
        assert_eq!(ask(&mut self.warehouse, &differences).await, "NULL", "{target}");
    }

    /// The columns of a table or view of the schema `truth`.
    async fn columns(&mut self, name: &str) -> String {
        let query = format!(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
              WHERE attrelid = 'truth.{name}'::regclass AND attnum > 0"
        );
        ask(&mut self.warehouse, &query).await
    }
}
