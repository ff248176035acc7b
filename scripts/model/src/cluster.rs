//! A Postgres of the seed's own, apart from the stack: each can die without the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use catalog::Side;
use local::{APPLICATION, Home, LOADER, Postgres, READER};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;

use crate::sql;

/// The database of the shop.
pub(crate) const SOURCE: &str = "shop";
/// The database of the oracle.
pub(crate) const ORACLE: &str = "oracle";

/// The server, and where its databases are now.
pub(crate) struct Cluster {
    postgres: Postgres,
    home: Home,
    pub(crate) source: String,
    pub(crate) warehouse: String,
    /// The port in the socket's name of the server that the source is on, where that is another one.
    pub(crate) source_port: Option<u16>,
    /// The one that the functions are told instead, where a reader endpoint stands before the source.
    pub(crate) reader_port: Option<u16>,
}

impl Cluster {
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let home = Home::take(folder)?;
        let postgres = Postgres::start(&home, SOURCE).await?;
        let warehouse = local::WAREHOUSE.to_owned();
        let cluster =
            Self { postgres, home, source: SOURCE.to_owned(), warehouse, source_port: None, reader_port: None };
        let server = cluster.server();
        // A process may be killed at any moment; the machine is not.
        sql::once(&server, "ALTER SYSTEM SET fsync = off").await?;
        sql::once(&server, "ALTER SYSTEM SET full_page_writes = off").await?;
        sql::once(&server, "ALTER SYSTEM SET restart_after_crash = on").await?;
        sql::once(&server, "SELECT pg_reload_conf()").await?;
        Ok(cluster)
    }

    fn at_source(&self, options: PgConnectOptions) -> PgConnectOptions {
        match self.source_port {
            Some(port) => options.port(port),
            None => options,
        }
    }

    /// The application's connection to the source.
    pub(crate) fn application(&self) -> PgConnectOptions {
        self.at_source(self.postgres.options_for(APPLICATION, &self.source))
    }

    /// A superuser's connection to the source.
    pub(crate) fn source_superuser(&self) -> PgConnectOptions {
        self.at_source(self.postgres.superuser_options(&self.source))
    }

    /// The loader's connection to the warehouse.
    pub(crate) fn loader(&self) -> PgConnectOptions {
        self.postgres.options_for(LOADER, &self.warehouse)
    }

    /// A superuser's connection to no database in particular.
    pub(crate) fn server(&self) -> PgConnectOptions {
        self.postgres.superuser_options("postgres")
    }

    /// A superuser's connection to a database.
    pub(crate) fn superuser(&self, database: &str) -> PgConnectOptions {
        self.postgres.superuser_options(database)
    }

    /// The folder of the sockets: of the server, and of what stands beside it.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.postgres.socket().to_owned()
    }

    /// What the functions are told: both secrets.
    pub(crate) fn secrets(&self) -> Result<(String, String)> {
        let mut source: serde_json::Value = serde_json::from_str(&self.postgres.secret_for(READER, &self.source))?;
        if let Some(port) = self.reader_port.or(self.source_port) {
            source["port"] = port.into();
        }
        Ok((source.to_string(), self.postgres.secret_for(LOADER, &self.warehouse)))
    }

    /// Makes a database anew as one of the two.
    pub(crate) async fn create(&self, database: &str, side: Side) -> Result<()> {
        self.postgres.create_database(database, side).await
    }

    /// A database becomes a copy of another, whoever is connected to either.
    pub(crate) async fn copy(&self, from: &str, to: &str, owner: &str) -> Result<()> {
        let server = self.server();
        self.drop(to).await?;
        let mut last = None;
        for _ in 0..100 {
            let out = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
            sql::once(&server, &out).await?;
            match sql::once(&server, &format!("CREATE DATABASE {to} TEMPLATE {from} OWNER {owner}")).await {
                // Else a sequence of the copy goes back when the server crashes: its page says how far the log of the
                // original already is.
                Ok(()) => return sql::once(&server, "CHECKPOINT").await,
                // Somebody connected again in between.
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(last.context("it was never tried")?)
    }

    /// Drops a database, whoever is connected.
    pub(crate) async fn drop(&self, database: &str) -> Result<()> {
        sql::once(&self.server(), &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).await
    }

    /// The folder of its data, and the folder of its programs.
    pub(crate) async fn folders(&self) -> Result<(PathBuf, PathBuf)> {
        let data = PathBuf::from(sql::ask_once(&self.server(), "SELECT current_setting('data_directory')").await?);
        let pid = postmaster(&data)?;
        let program = std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero()))?;
        Ok((data, program.parent().context("a program lies in a folder")?.to_owned()))
    }

    /// Kills the server as a machine does, and starts it again.
    pub(crate) async fn kill_and_start(self) -> Result<Self> {
        let (data, _) = self.folders().await?;
        kill_process(postmaster(&data)?, Signal::KILL)?;
        let Self { postgres, home, source, warehouse, source_port, reader_port } = self;
        postgres.stop().await?;
        // Its children see that it is gone, and end; until then the folder is theirs.
        let mut last = None;
        for _ in 0..100 {
            match Postgres::start(&home, SOURCE).await {
                Ok(postgres) => return Ok(Self { postgres, home, source, warehouse, source_port, reader_port }),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(last.context("it was never tried")?)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.postgres.stop().await
    }
}

/// The process that a data folder's server is.
pub(crate) fn postmaster(data: &Path) -> Result<Pid> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).context("the server is not running")?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
    match pid {
        Some(pid) => Ok(pid),
        None => bail!("postmaster.pid names no process"),
    }
}
