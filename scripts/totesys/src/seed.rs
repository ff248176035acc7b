//! Filling an empty database with totesys: generated, or from a dump in CSV.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use sqlx::postgres::PgCopyIn;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::SCHEMA;
use crate::orders::{Order, Orders};
use crate::people::{self, Table};

/// The tables of totesys; each comes after those it refers to.
pub const TABLES: [&str; 11] = [
    "address",
    "counterparty",
    "currency",
    "department",
    "design",
    "staff",
    "payment_type",
    "sales_order",
    "purchase_order",
    "transaction",
    "payment",
];

const KEYS: &str = include_str!("keys.sql");
/// Bytes sent to the server at a time.
const MESSAGE: usize = 256 << 10;

/// Where the rows come from.
#[derive(Clone, Debug)]
pub enum SeedSource {
    /// Generated: the same for the same number and seed.
    Generated {
        /// Orders of both kinds together; each has a transaction and a payment.
        orders: u64,
        /// Any number.
        seed: u64,
    },
    /// A folder with one `<table>.csv` or `<table>.csv.gz` a table, header first, an empty field for NULL.
    Dump(PathBuf),
}

/// Whether a database has none of the tables of totesys.
///
/// # Errors
/// What the database answers.
pub async fn is_empty(database: &mut PgConnection) -> Result<bool> {
    let known = "SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = 'sales_order')";
    Ok(sqlx::query_scalar(known).fetch_one(database).await?)
}

/// Makes the tables and fills them, in one transaction; answers how many rows each got.
///
/// # Errors
/// When the database is not empty, or a dump is not one of totesys.
pub async fn seed(database: &mut PgConnection, source: &SeedSource) -> Result<Vec<(String, u64)>> {
    if !is_empty(database).await? {
        bail!("the database holds totesys already: seed fills an empty one");
    }
    sqlx::raw_sql("BEGIN").execute(&mut *database).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut *database).await.context("cannot make the tables of totesys")?;
    let counts = match source {
        SeedSource::Generated { orders, seed } => generate(database, *orders, *seed).await?,
        SeedSource::Dump(folder) => copy_dump(database, folder).await?,
    };
    sqlx::raw_sql(KEYS).execute(&mut *database).await.context("the rows do not fit the keys of totesys")?;
    sqlx::raw_sql("COMMIT").execute(&mut *database).await?;
    // Of these tables alone: of the others the server would only say that they are not ours.
    let tables: Vec<&str> = counts.iter().map(|(table, _)| table.as_str()).collect();
    sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE {}", tables.join(", ")))).execute(database).await?;
    Ok(counts)
}

async fn generate(database: &mut PgConnection, orders: u64, seed: u64) -> Result<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for table in people::tables(&mut Rng::with_seed(seed), Orders::span_days(orders)) {
        counts.push((table.name.to_owned(), copy_rows(database, &table).await?));
    }
    // The orders are made anew for each table, so that none has to be held.
    type Line = fn(&Order) -> Option<String>;
    let tables: [(&str, Line); 4] = [
        ("sales_order", Order::sale),
        ("purchase_order", Order::purchase),
        ("transaction", |order| Some(order.transaction())),
        ("payment", |order| Some(order.payment())),
    ];
    for (table, line) in tables {
        let mut sink = Sink::open(database, &format!("COPY {table} FROM STDIN WITH (FORMAT csv)")).await?;
        for order in Orders::new(seed, orders) {
            if let Some(line) = line(&order) {
                sink.write(line.as_bytes()).await?;
            }
        }
        counts.push((table.to_owned(), sink.finish().await?));
    }
    Ok(counts)
}

async fn copy_rows(database: &mut PgConnection, table: &Table) -> Result<u64> {
    let statement = format!("COPY {} ({}) FROM STDIN WITH (FORMAT csv)", table.name, table.columns);
    let mut sink = Sink::open(database, &statement).await?;
    for row in &table.rows {
        let fields = row
            .iter()
            .map(|value| value.as_ref().map_or_else(String::new, |text| format!("\"{}\"", text.replace('"', "\"\""))));
        sink.write(format!("{}\n", fields.collect::<Vec<_>>().join(",")).as_bytes()).await?;
    }
    sink.finish().await
}

async fn copy_dump(database: &mut PgConnection, folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for table in TABLES {
        let text = read_csv(folder, table)?;
        let header = text.lines().next().with_context(|| format!("the dump of {table} is empty"))?;
        let columns: Vec<String> =
            header.split(',').map(|name| Ok(catalog::Ident::new(name)?.sql().to_string())).collect::<Result<_>>()?;
        let statement = format!("COPY {table} ({}) FROM STDIN WITH (FORMAT csv, HEADER)", columns.join(", "));
        let mut sink = Sink::open(database, &statement).await?;
        sink.write(text.as_bytes()).await?;
        let rows = sink.finish().await.with_context(|| format!("the dump of {table} does not fit"))?;
        counts.push((table.to_owned(), rows));
    }
    Ok(counts)
}

fn read_csv(folder: &Path, table: &str) -> Result<String> {
    let plain = folder.join(format!("{table}.csv"));
    if plain.is_file() {
        return fs::read_to_string(&plain).with_context(|| format!("cannot read {}", plain.display()));
    }
    let packed = folder.join(format!("{table}.csv.gz"));
    let file = fs::File::open(&packed)
        .with_context(|| format!("neither {} nor {} is there", plain.display(), packed.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot unpack {}", packed.display()))?;
    Ok(text)
}

/// A COPY into the server that sends larger pieces than it is given.
struct Sink<'s> {
    copy: PgCopyIn<&'s mut PgConnection>,
    buffer: Vec<u8>,
}

impl<'s> Sink<'s> {
    async fn open(database: &'s mut PgConnection, statement: &str) -> Result<Self> {
        Ok(Self { copy: database.copy_in_raw(statement).await?, buffer: Vec::with_capacity(MESSAGE * 2) })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= MESSAGE {
            self.copy.send(&self.buffer[..]).await?;
            self.buffer.clear();
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64> {
        self.copy.send(&self.buffer[..]).await?;
        Ok(self.copy.finish().await?)
    }
}
