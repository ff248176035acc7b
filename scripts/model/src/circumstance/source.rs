//! Changes of the source's shape: rows that become others without a transaction that wrote them.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Circumstance;
use crate::site::Site;
use crate::sql;

/// Filled in good time: its rows are old when they come to be seen.
pub(super) async fn prepare(circumstance: Circumstance, site: &Site) -> Result<()> {
    let statements = match circumstance {
        Circumstance::PartitionAttached => {
            "CREATE TABLE stock_high (LIKE stock INCLUDING DEFAULTS);
             INSERT INTO stock_high SELECT 500000 + n, 'high ' || n % 3, n, '2024-05-01'::timestamp + n * interval '1 hour'
               FROM generate_series(1, 50) AS n;
             INSERT INTO product SELECT 500000 + n, 'High ' || n, 'Maker', 'book', n FROM generate_series(1, 50) AS n"
        }
        Circumstance::ViewReplaced => {
            "CREATE TABLE channel_second (channel_id integer PRIMARY KEY, channel_name text);
             INSERT INTO channel_second SELECT n, 'Second ' || n FROM generate_series(1, 6) AS n"
        }
        Circumstance::TableSwapped => {
            "CREATE TABLE product_second (LIKE product INCLUDING ALL);
             INSERT INTO product_second SELECT product_id, product_name || ' II', maker, kind, price, shelf, last_updated FROM product;
             INSERT INTO product_second VALUES (600001, 'Never seen', 'Maker', 'tool', 7)"
        }
        _ => return Ok(()),
    };
    site.source_does(statements).await
}

/// A change of shape, in one transaction with its entries in the journal, for which the table stands still.
struct Change {
    statements: &'static str,
    /// Answers `true` once it is done: a server may go away between a commit and its answer.
    is_done: &'static str,
}

fn change(circumstance: Circumstance) -> Option<Change> {
    let (statements, is_done) = match circumstance {
        Circumstance::PartitionAttached => (
            "BEGIN; LOCK TABLE stock;
             ALTER TABLE stock ATTACH PARTITION stock_high FOR VALUES FROM (500000) TO (600000);
             SELECT journal.note_all('stock'); COMMIT",
            "SELECT count(*) = 2 FROM pg_inherits WHERE inhparent = 'stock'::regclass",
        ),
        Circumstance::ColumnsSwapped => (
            "BEGIN; LOCK TABLE product;
             ALTER TABLE product RENAME product_name TO aside; ALTER TABLE product RENAME maker TO product_name;
             ALTER TABLE product RENAME aside TO maker;
             SELECT journal.note_all('product'); COMMIT",
            "SELECT attname = 'maker' FROM pg_attribute WHERE attrelid = 'product'::regclass AND attnum = 2",
        ),
        Circumstance::ColumnReplaced => (
            "BEGIN; LOCK TABLE sale;
             ALTER TABLE sale DROP COLUMN note; ALTER TABLE sale ADD COLUMN note text DEFAULT 'as it was';
             SELECT journal.note_all('sale'); COMMIT",
            "SELECT count(*) > 0 FROM pg_attribute WHERE attrelid = 'sale'::regclass AND attisdropped",
        ),
        Circumstance::LabelRenamed => (
            "BEGIN; LOCK TABLE product; ALTER TYPE kind RENAME VALUE 'toy' TO 'game';
             SELECT journal.note_all('product'); COMMIT",
            "SELECT count(*) > 0 FROM pg_enum WHERE enumlabel = 'game'",
        ),
        Circumstance::ViewReplaced => (
            "BEGIN; DROP VIEW channel; ALTER TABLE channel_second RENAME TO channel; COMMIT",
            "SELECT to_regclass('channel_second') IS NULL",
        ),
        Circumstance::TableSwapped => (
            "BEGIN; LOCK TABLE product;
             ALTER TABLE product RENAME TO product_first; ALTER TABLE product_second RENAME TO product;
             CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON product
                 FOR EACH ROW EXECUTE FUNCTION journal.note('product');
             SELECT journal.note_all('product'); COMMIT",
            "SELECT to_regclass('product_second') IS NULL",
        ),
        Circumstance::RowsHidden => (
            "BEGIN; CREATE POLICY half ON sale FOR SELECT USING (sale_id % 2 = 0);
             ALTER TABLE sale ENABLE ROW LEVEL SECURITY;
             UPDATE sale SET units = units + 1 WHERE sale_id < 60; COMMIT",
            "SELECT relrowsecurity FROM pg_class WHERE oid = 'sale'::regclass",
        ),
        _ => return None,
    };
    Some(Change { statements, is_done })
}

pub(super) async fn happen(circumstance: Circumstance, site: &Site) -> Result<()> {
    let change = change(circumstance).with_context(|| format!("{circumstance} is no change of the source"))?;
    persist(site, &change).await
}

/// The policy goes, and with it what it hid.
pub(super) async fn show_rows(site: &Site) -> Result<()> {
    let shown = Change {
        statements: "BEGIN; ALTER TABLE sale DISABLE ROW LEVEL SECURITY; DROP POLICY half ON sale; COMMIT",
        is_done: "SELECT count(*) = 0 FROM pg_policy",
    };
    persist(site, &shown).await
}

/// Writers hold locks, and a server may just be away.
async fn persist(site: &Site, change: &Change) -> Result<()> {
    let mut last = None;
    for _ in 0..60 {
        match site.source_does(change.statements).await {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
        if sql::ask_once(&site.place().application, change.is_done).await.is_ok_and(|answer| answer == "true") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(last.context("it was never tried")?)
}
