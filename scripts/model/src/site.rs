//! Everything a seed stands on: its folder, its databases, its stack, and the proxy before it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use local::Running;
use sqlx::postgres::PgConnectOptions;

use crate::cluster::{Cluster, ORACLE};
use crate::proxy::Proxy;
use crate::sql;
use crate::stack::{Launch, StackProcess};
use crate::steps::Steps;
use crate::tally::Tally;

const CATALOGUE: &str = include_str!("pipeline.toml");
const SCHEMA: &str = include_str!("source.sql");

/// Numbers below are of the first rows; the next sale and product have these.
const FIRST_SALE: i32 = 301;
const FIRST_PRODUCT: i32 = 41;

/// Where databases and services are at the moment: a writer that lost its connection asks again.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) application: PgConnectOptions,
    pub(crate) source_superuser: PgConnectOptions,
    pub(crate) loader: PgConnectOptions,
    pub(crate) server: PgConnectOptions,
    /// `None` while no stack stands.
    pub(crate) running: Option<Running>,
}

/// The ground of one seed.
pub(crate) struct Site {
    pub(crate) launch: Launch,
    pub(crate) steps: Steps,
    pub(crate) tally: Tally,
    pub(crate) proxy: Proxy,
    /// `None` only while the server is changed for another.
    pub(crate) cluster: tokio::sync::Mutex<Option<Cluster>>,
    stack: tokio::sync::Mutex<Option<StackProcess>>,
    place: Mutex<Place>,
    next_sale: AtomicI32,
    next_product: AtomicI32,
}

impl Site {
    /// Makes the ground: a new server with the shop's tables, and a stack.
    pub(crate) async fn make(
        folder: PathBuf,
        rng: &mut Rng,
        model: PathBuf,
        functions: &Path,
        tally: Tally,
    ) -> Result<Arc<Self>> {
        std::fs::create_dir_all(&folder)?;
        // The server's account has to reach its data.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&folder, open)?;
        let folder = folder.canonicalize()?;
        let launch = Launch { model, folder };
        let slice_rows = [37, 120, 2_000_000][rng.usize(..3)];
        let catalogue = CATALOGUE.replace("slice_rows = 2000000", &format!("slice_rows = {slice_rows}"));
        std::fs::write(launch.catalogue(), catalogue)?;
        let steps = Steps::create(&launch.path("steps.log"))?;
        steps.note(&format!("slice_rows = {slice_rows}"));
        let proxy = Proxy::start(rng.fork(), tally.clone()).await?;
        launch.put_programs(functions, &proxy.endpoint())?;
        let cluster = Cluster::start(&launch.path("databases")).await?;
        sql::once(&cluster.application(), SCHEMA).await.context("cannot make the shop")?;
        let place = Mutex::new(place(&cluster, None));
        let site = Self {
            launch,
            steps,
            tally,
            proxy,
            cluster: tokio::sync::Mutex::new(Some(cluster)),
            stack: tokio::sync::Mutex::new(None),
            place,
            next_sale: AtomicI32::new(FIRST_SALE),
            next_product: AtomicI32::new(FIRST_PRODUCT),
        };
        site.start_stack().await?;
        Ok(Arc::new(site))
    }

    pub(crate) fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number for a new sale.
    pub(crate) fn new_sale(&self) -> i32 {
        self.next_sale.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new_product(&self) -> i32 {
        self.next_product.fetch_add(1, Ordering::Relaxed)
    }

    /// The number that the next sale will have.
    pub(crate) fn sales(&self) -> i32 {
        self.next_sale.load(Ordering::Relaxed)
    }

    /// Starts the stack over the databases as they are now.
    pub(crate) async fn start_stack(&self) -> Result<()> {
        let mut stack = self.stack.lock().await;
        let cluster = self.cluster.lock().await;
        let cluster = cluster.as_ref().context("there is no server")?;
        let (source, warehouse) = cluster.secrets()?;
        let process = self.launch.start(source, warehouse).await?;
        self.proxy.lead_to(&process.running.endpoint);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place(cluster, Some(process.running.clone()));
        *stack = Some(process);
        Ok(())
    }

    /// Ends the stack, as a person or as a machine does.
    pub(crate) async fn end_stack(&self, kill: bool) -> Result<()> {
        let process = self.stack.lock().await.take();
        self.place.lock().unwrap_or_else(PoisonError::into_inner).running = None;
        self.proxy.lead_to("");
        match process {
            None => Ok(()),
            Some(process) if kill => process.kill().await,
            Some(process) => process.stop().await,
        }
    }

    /// The process id of the stack.
    pub(crate) async fn stack_pid(&self) -> Option<rustix::process::Pid> {
        self.stack.lock().await.as_ref().and_then(StackProcess::pid)
    }

    /// Changes where the databases are, with the stack at rest, and goes on there.
    pub(crate) async fn move_databases(&self, change: impl AsyncFnOnce(Cluster) -> Result<Cluster>) -> Result<()> {
        self.end_stack(false).await?;
        {
            let mut held = self.cluster.lock().await;
            let cluster = held.take().context("there is no server")?;
            *held = Some(change(cluster).await?);
        }
        self.start_stack().await
    }

    /// Statements in the source, as the application.
    pub(crate) async fn source_does(&self, statements: &str) -> Result<()> {
        self.steps.note(&format!("the application does: {statements}"));
        sql::once(&self.place().application, statements).await
    }

    /// Statements in the warehouse, as its owner.
    pub(crate) async fn warehouse_does(&self, statements: &str) -> Result<()> {
        self.steps.note(&format!("the loader does: {statements}"));
        sql::once(&self.place().loader, statements).await
    }

    /// Waits until both databases answer: a server that crashed recovers.
    pub(crate) async fn until_servers_answer(&self) -> Result<()> {
        let mut last = None;
        for _ in 0..300 {
            let place = self.place();
            let asked = async {
                sql::ask_once(&place.application, "SELECT 1").await?;
                sql::ask_once(&place.server, "SELECT 1").await
            };
            match asked.await {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Err(last.context("they were never asked")?)
    }

    /// Waits until every transaction has ended that is open now: the next horizon is after all of them.
    pub(crate) async fn until_all_is_past(&self) -> Result<()> {
        let place = self.place();
        let now = sql::ask_once(&place.application, "SELECT pg_current_xact_id()").await?;
        let past = format!("SELECT pg_snapshot_xmin(pg_current_snapshot()) > '{now}'::xid8");
        for _ in 0..600 {
            if sql::ask_once(&place.application, &past).await? == "true" {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        anyhow::bail!("a transaction of the application's never ends")
    }

    /// A superuser's connection to the oracle's own database, made anew.
    pub(crate) async fn oracle(&self) -> Result<PgConnectOptions> {
        let cluster = self.cluster.lock().await;
        let cluster = cluster.as_ref().context("there is no server")?;
        cluster.drop(ORACLE).await?;
        sql::once(&cluster.server(), &format!("CREATE DATABASE {ORACLE}")).await?;
        Ok(cluster.superuser(ORACLE))
    }

    /// Ends everything; the folder stays.
    pub(crate) async fn end(&self) -> Result<()> {
        self.end_stack(false).await?;
        match self.cluster.lock().await.take() {
            Some(cluster) => cluster.stop().await,
            None => Ok(()),
        }
    }
}

fn place(cluster: &Cluster, running: Option<Running>) -> Place {
    Place {
        application: cluster.application(),
        source_superuser: cluster.source_superuser(),
        loader: cluster.loader(),
        server: cluster.server(),
        running,
    }
}
