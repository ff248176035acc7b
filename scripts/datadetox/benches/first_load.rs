//! The whole first load against the floor that Postgres itself sets, in one run: machines are noisy, ratios less so.
//!
//! ```text
//! cargo bench -p datadetox                      # 1,000,000 orders
//! cargo bench -p datadetox -- 5000000           # and the memory that each function needs for 5,000,000
//! ```
//!
//! The floor is `psql` copying sales_order out to CSV and in again into an empty table with its primary key. The load is
//! all of the pipeline for the same rows: extract, transform, load, every foreign key in place at the end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use asl::{EventKind, Execution, Status};
use datadetox::catalogue::{self, Project};
use local::{APPLICATION, Config, Home, LOADER, Stack, build_when_run_by_cargo, run_name};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tokio::process::Command;
use totesys::{SeedSource, seed};

/// Share of the generated orders that are sales.
const SALES_IN_THOUSAND: u64 = 706;

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo passes its own words, `--bench` among them.
    let number = std::env::args().find_map(|word| word.parse().ok());
    let sales: u64 = number.unwrap_or(1_000_000);
    let folder = tempfile::tempdir()?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open)?;
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipeline.toml");
    let home = folder.path().join("home");
    let deployment = Project { catalog: shipped.into(), home: home.clone() }.on_laptop()?;
    let stack = Stack::start(Config {
        home: Home::take(&home)?,
        serves: false,
        definition: catalogue::local_definition(&deployment),
        deployment,
        catalog_file: shipped.into(),
        programs: Some(build_when_run_by_cargo().await?),
        source: None,
        warehouse: None,
        record_calls: None,
    })
    .await?;
    let postgres = stack.postgres.as_ref().context("the stack has a Postgres of its own")?;
    let mut source = postgres.options(APPLICATION).connect().await?;
    let orders = sales * 1_000 / SALES_IN_THOUSAND;
    seed(&mut source, &SeedSource::Generated { orders, seed: 1 }).await?;
    only_sales(&mut source).await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM sales_order").fetch_one(&mut source).await?;

    let services = home.join("pg_service.conf");
    let file = folder.path().join("sales_order.csv");
    let floor = floor(&services, &file).await?;
    let mut warehouse = postgres.options(LOADER).connect().await?;
    execute(&mut warehouse, "DROP TABLE floor").await?;

    let began = Instant::now();
    let load = first_load(&stack).await?;
    let wall = began.elapsed();
    let foreign_keys: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated")
            .fetch_one(&mut warehouse)
            .await?;
    let loaded: i64 = sqlx::query_scalar("SELECT count(*) FROM fact_sales_order").fetch_one(&mut warehouse).await?;
    ensure!((loaded, foreign_keys) == (rows, 24), "{loaded} rows and {foreign_keys} foreign keys are there");

    print(&format!("sales orders                       {rows}"));
    print(&format!("psql: COPY out, COPY in with key   {:.2} s", floor.as_secs_f64()));
    print(&format!("the whole first load               {:.2} s", wall.as_secs_f64()));
    let hundredths = wall.as_millis() * 100 / floor.as_millis().max(1);
    print(&format!("ratio                              {}.{:02}", hundredths / 100, hundredths % 100));
    for (state, seconds) in load {
        print(&format!("  {state:<32} {seconds:.2} s"));
    }
    print("peak memory of the functions:");
    for (name, bytes) in stack.lambda.peaks() {
        print(&format!("  {name:<40} {:>4} MiB", bytes >> 20));
    }
    stack.stop().await
}

/// Leaves the floor and the load the same rows: the other large tables stay empty.
async fn only_sales(source: &mut PgConnection) -> Result<()> {
    execute(source, "TRUNCATE payment, transaction, purchase_order").await?;
    execute(source, "VACUUM ANALYZE").await
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

async fn floor(services: &std::path::Path, file: &std::path::Path) -> Result<Duration> {
    let table = "CREATE TABLE floor (sales_order_id int PRIMARY KEY, created_at timestamp(3), last_updated timestamp(3), design_id int,
                 staff_id int, counterparty_id int, units_sold int, unit_price numeric(10,2), currency_id int,
                 agreed_delivery_date text, agreed_payment_date text, agreed_delivery_location_id int)";
    psql(services, "warehouse", table).await?;
    let began = Instant::now();
    let place = file.display();
    psql(services, "source", &format!("\\copy sales_order to '{place}' csv")).await?;
    psql(services, "warehouse", &format!("\\copy floor from '{place}' csv")).await?;
    Ok(began.elapsed())
}

async fn psql(services: &std::path::Path, service: &str, command: &str) -> Result<()> {
    let mut psql = Command::new("psql");
    psql.env("PGSERVICEFILE", services).arg(format!("service={service}")).args(["-q", "-v", "ON_ERROR_STOP=1"]);
    let status = psql.args(["-c", command]).stdout(Stdio::null()).status().await.context("psql is not installed")?;
    ensure!(status.success(), "psql ended with {status}");
    Ok(())
}

/// Seconds of each phase.
async fn first_load(stack: &Stack) -> Result<Vec<(String, f64)>> {
    let client = aws_sdk_sfn::Client::new(stack.aws());
    let name = run_name();
    client.start_execution().state_machine_arn(&stack.machine.arn).name(&name).send().await?;
    let entry = stack.execution(&name).context("it was started")?;
    let status = entry.ended().await;
    if status != Status::Succeeded {
        bail!("the load failed: {:?}", stack.states.read(&entry, |execution| execution.failure.clone())?);
    }
    Ok(stack.states.read(&entry, phases)?)
}

fn phases(execution: &Execution) -> Vec<(String, f64)> {
    let mut phases = Vec::new();
    for event in &execution.events {
        let is_phase = |name: &str| matches!(name, "Plan" | "Extract" | "Transform" | "Load");
        match &event.kind {
            EventKind::StateEntered { name, .. } if is_phase(name) => phases.push((name.clone(), event.at, event.at)),
            EventKind::StateExited { name, .. } => {
                phases.iter_mut().filter(|phase| phase.0 == *name).for_each(|phase| phase.2 = event.at);
            }
            _ => {}
        }
    }
    phases.into_iter().map(|(state, from, to)| (state, (to - from).as_seconds_f64())).collect()
}

#[expect(clippy::print_stdout, reason = "what a benchmark measured is its answer")]
fn print(line: &str) {
    println!("{line}");
}
