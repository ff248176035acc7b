//! A private Postgres from the machine's own binaries: two databases, three roles, on a Unix socket.

mod binaries;
mod cluster;
mod socket;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use catalog::Side;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::process::Child;

use crate::account::Account;
use crate::home::{Home, Running};
use crate::password;
use crate::process::{self, Ending};

pub use binaries::BINARIES;

/// Owner of the cluster; nobody but the stack connects as it.
const SUPERUSER: &str = "datadetox";
/// The application: owns the source's tables. Sample data and `psql service=source` come in as this role.
pub const APPLICATION: &str = "application";
/// The pipeline's view of the source: SELECT and nothing else.
pub const READER: &str = "reader";
/// The pipeline's view of the warehouse: owns its tables.
pub const LOADER: &str = "loader";
/// The warehouse database; the source is named after the pipeline.
pub const WAREHOUSE: &str = "warehouse";

/// A running cluster.
pub struct Postgres {
    child: Child,
    socket: PathBuf,
    source: String,
    passwords: Passwords,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Passwords {
    superuser: String,
    application: String,
    reader: String,
    loader: String,
}

impl Passwords {
    fn options(&self, socket: &Path, role: &str, database: &str) -> PgConnectOptions {
        let password = match role {
            APPLICATION => &self.application,
            READER => &self.reader,
            LOADER => &self.loader,
            _ => &self.superuser,
        };
        PgConnectOptions::new_without_pgpass()
            .socket(socket)
            .port(socket::PORT)
            .username(role)
            .password(password)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging()
    }
}

/// The application's connection to the source of a stack that runs in another process.
///
/// # Errors
/// When that stack has no Postgres of its own, or its folder cannot be read.
pub fn application_of(home: &Path, running: &Running) -> Result<PgConnectOptions> {
    let socket = running.postgres_socket.as_ref();
    let socket = socket.context("the running stack uses a source of its own: name it with --source")?;
    let passwords = read_passwords(&home.join("credentials.json"))?.context("the running stack has no credentials")?;
    Ok(passwords.options(socket, APPLICATION, &running.pipeline))
}

impl Postgres {
    /// Starts the cluster of a home, made and filled with its databases where it is new.
    ///
    /// # Errors
    /// When no Postgres is installed, or it does not start; the message shows the end of its log.
    pub async fn start(home: &Home, pipeline: &str) -> Result<Self> {
        let binaries = binaries::locate(home)?;
        let passwords = passwords(home)?;
        let account = Account::for_server()?;
        let data = cluster::data_folder(home, account)?;
        if !data.join("PG_VERSION").exists() {
            cluster::create(&binaries, &data, account, &passwords.superuser).await?;
        }
        cluster::end_leftover(&data).await?;
        let log = home.join("logs/postgres.log");
        let socket = socket::make(&data, account)?;
        let child = cluster::spawn(&binaries, &data, &socket, account, &log)?;
        let mut postgres = Self { child, socket, source: pipeline.to_owned(), passwords };
        postgres.wait_until_ready(&log).await?;
        postgres.create_databases().await?;
        postgres.write_service_file(home)?;
        Ok(postgres)
    }

    /// Connection options of a role for its database.
    #[must_use]
    pub fn options(&self, role: &str) -> PgConnectOptions {
        self.passwords.options(&self.socket, role, if role == LOADER { WAREHOUSE } else { &self.source })
    }

    /// A superuser's connection to a database.
    #[must_use]
    pub fn superuser_options(&self, database: &str) -> PgConnectOptions {
        self.passwords.options(&self.socket, SUPERUSER, database)
    }

    /// The secret that a function reads: a role's credentials for its own database, in the form of RDS.
    pub(crate) fn secret(&self, role: &str) -> String {
        self.secret_for(role, if role == LOADER { WAREHOUSE } else { &self.source })
    }

    /// The same for another database.
    #[must_use]
    pub fn secret_for(&self, role: &str, database: &str) -> String {
        let password = if role == READER { &self.passwords.reader } else { &self.passwords.loader };
        serde_json::json!({
            "engine": "postgres", "host": self.socket, "port": socket::PORT, "sslmode": "disable",
            "username": role, "password": password, "dbname": database,
        })
        .to_string()
    }

    /// A role's connection options for another database than its own.
    #[must_use]
    pub fn options_for(&self, role: &str, database: &str) -> PgConnectOptions {
        self.passwords.options(&self.socket, role, database)
    }

    /// The folder of the socket that it listens on, which takes the place of a host.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends the server: open transactions are rolled back.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(mut self) -> Result<()> {
        process::end(&mut self.child, Ending::Interrupt, Duration::from_secs(20)).await?;
        socket::discard(&self.socket);
        Ok(())
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Result<()> {
        let options = self.superuser_options("postgres");
        for _ in 0..1_500 {
            if let Some(status) = self.child.try_wait()? {
                bail!("Postgres ended at its start ({status}):\n{}", cluster::tail(log));
            }
            match PgConnection::connect_with(&options).await {
                Ok(connection) => return connection.close().await.context("cannot close a connection"),
                // Not listening yet, or starting up: asked again until it answers or ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        bail!("Postgres does not answer:\n{}", cluster::tail(log))
    }

    async fn create_databases(&self) -> Result<()> {
        let mut server = PgConnection::connect_with(&self.superuser_options("postgres")).await?;
        let roles = [
            (APPLICATION, &self.passwords.application),
            (READER, &self.passwords.reader),
            (LOADER, &self.passwords.loader),
        ];
        for (role, password) in roles {
            if !exists(&mut server, "SELECT FROM pg_roles WHERE rolname = $1", role).await? {
                let statement = format!("CREATE ROLE {role} LOGIN PASSWORD {}", catalog::Literal(password));
                run(&mut server, statement).await?;
            }
        }
        for (database, side) in [(self.source.as_str(), Side::Source), (WAREHOUSE, Side::Warehouse)] {
            if !exists(&mut server, "SELECT FROM pg_database WHERE datname = $1", database).await? {
                self.create_database(database, side).await?;
            }
        }
        server.close().await.context("cannot close a connection")
    }

    /// Makes a database as one of the two: the source is the application's and the reader may read it, the warehouse is the
    /// loader's.
    ///
    /// # Errors
    /// When there is one of that name.
    pub async fn create_database(&self, database: &str, side: Side) -> Result<()> {
        let owner = match side {
            Side::Source => APPLICATION,
            Side::Warehouse => LOADER,
        };
        let name = catalog::Ident::new(database)?;
        let mut server = PgConnection::connect_with(&self.superuser_options("postgres")).await?;
        run(&mut server, format!("CREATE DATABASE {} OWNER {owner}", name.sql())).await?;
        server.close().await?;
        let mut inside = PgConnection::connect_with(&self.superuser_options(database)).await?;
        run(&mut inside, format!("ALTER SCHEMA public OWNER TO {owner}")).await?;
        if side == Side::Source {
            let grants = format!(
                "GRANT USAGE ON SCHEMA public TO {READER};
                 ALTER DEFAULT PRIVILEGES FOR ROLE {APPLICATION} IN SCHEMA public GRANT SELECT ON TABLES TO {READER}"
            );
            run(&mut inside, grants).await?;
        }
        inside.close().await.context("cannot close a connection")
    }

    fn write_service_file(&self, home: &Home) -> Result<()> {
        let mut text = "# For psql: PGSERVICEFILE=<this file> psql service=source\n".to_owned();
        let entries = [
            ("source", APPLICATION, self.source.as_str(), &self.passwords.application),
            ("warehouse", LOADER, WAREHOUSE, &self.passwords.loader),
        ];
        for (service, role, database, password) in entries {
            text += &format!(
                "[{service}]\nhost={}\nport={}\ndbname={database}\nuser={role}\npassword={password}\nsslmode=disable\n",
                self.socket.display(),
                socket::PORT
            );
        }
        home.write_private("pg_service.conf", &text).map(|_| ())
    }
}

async fn exists(connection: &mut PgConnection, query: &'static str, name: &str) -> Result<bool> {
    Ok(sqlx::query(query).bind(name).fetch_optional(connection).await?.is_some())
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Generated once a home; readable by its owner alone.
fn passwords(home: &Home) -> Result<Passwords> {
    if let Some(passwords) = read_passwords(&home.join("credentials.json"))? {
        return Ok(passwords);
    }
    let passwords =
        Passwords { superuser: password()?, application: password()?, reader: password()?, loader: password()? };
    home.write_private("credentials.json", &serde_json::to_string_pretty(&passwords)?)?;
    Ok(passwords)
}

fn read_passwords(path: &Path) -> Result<Option<Passwords>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| format!("{} is damaged", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
