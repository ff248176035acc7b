//! A private Postgres from the machine's own binaries: two databases, three roles, on loopback.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use catalog::Side;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::process::{Child, Command};

use crate::environment;
use crate::home::{Home, Running};
use crate::password;
use crate::process::{self, Ending, find_on_path};

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

/// Where packages put `initdb` and `postgres` when not on the search path, a pattern a line; scripts/setup reads it too.
const USUAL_PLACES: &str = include_str!("../postgres-places.txt");
/// The variable that names the folder of the binaries to use instead of those that this machine has.
pub const BINARIES: &str = "DATADETOX_POSTGRES";

/// A running cluster.
pub struct Postgres {
    child: Child,
    port: u16,
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
    fn options(&self, port: u16, role: &str, database: &str) -> PgConnectOptions {
        let password = match role {
            APPLICATION => &self.application,
            READER => &self.reader,
            LOADER => &self.loader,
            _ => &self.superuser,
        };
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
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
    let port = running.postgres_port.context("the running stack uses a source of its own: name it with --source")?;
    let passwords = read_passwords(&home.join("credentials.json"))?.context("the running stack has no credentials")?;
    Ok(passwords.options(port, APPLICATION, &running.pipeline))
}

impl Postgres {
    /// Starts the cluster of a home, made and filled with its databases where it is new.
    ///
    /// # Errors
    /// When no Postgres is installed, or it does not start; the message shows the end of its log.
    pub async fn start(home: &Home, pipeline: &str) -> Result<Self> {
        let binaries = locate(home)?;
        let passwords = passwords(home)?;
        let account = Account::for_server()?;
        let data = data_folder(home, account.as_ref())?;
        if !data.join("PG_VERSION").exists() {
            create_cluster(&binaries, &data, account.as_ref(), &passwords.superuser).await?;
        }
        end_leftover(&data).await?;
        let log = home.join("logs/postgres.log");
        let mut tries = 0;
        let postgres = loop {
            let (child, port) = spawn_server(&binaries, &data, account.as_ref(), &log)?;
            let mut postgres = Self { child, port, source: pipeline.to_owned(), passwords: passwords.clone() };
            tries += 1;
            match postgres.wait_until_ready(&log).await {
                Ok(()) => break postgres,
                // Between our asking for a free port and its binding it, somebody else was faster.
                Err(error) if tries < 5 && error.to_string().contains("could not bind") => {}
                Err(error) => return Err(error),
            }
        };
        postgres.create_databases().await?;
        postgres.write_service_file(home)?;
        Ok(postgres)
    }

    /// Connection options of a role for its database.
    #[must_use]
    pub fn options(&self, role: &str) -> PgConnectOptions {
        self.passwords.options(self.port, role, if role == LOADER { WAREHOUSE } else { &self.source })
    }

    /// A superuser's connection to a database.
    #[must_use]
    pub fn superuser_options(&self, database: &str) -> PgConnectOptions {
        self.passwords.options(self.port, SUPERUSER, database)
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
            "engine": "postgres", "host": "127.0.0.1", "port": self.port, "sslmode": "disable",
            "username": role, "password": password, "dbname": database,
        })
        .to_string()
    }

    /// A role's connection options for another database than its own.
    #[must_use]
    pub fn options_for(&self, role: &str, database: &str) -> PgConnectOptions {
        self.passwords.options(self.port, role, database)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server: open transactions are rolled back.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn stop(mut self) -> Result<()> {
        process::end(&mut self.child, Ending::Interrupt, Duration::from_secs(20)).await
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Result<()> {
        let options = self.superuser_options("postgres");
        for _ in 0..1_500 {
            if let Some(status) = self.child.try_wait()? {
                bail!("Postgres ended at its start ({status}):\n{}", tail(log));
            }
            match PgConnection::connect_with(&options).await {
                Ok(connection) => return connection.close().await.context("cannot close a connection"),
                // Not listening yet, or starting up: asked again until it answers or ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        bail!("Postgres does not answer:\n{}", tail(log))
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
                "[{service}]\nhost=127.0.0.1\nport={}\ndbname={database}\nuser={role}\npassword={password}\nsslmode=disable\n",
                self.port
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

/// The folder that holds `initdb` and `postgres`: the one that `DATADETOX_POSTGRES` names, and then no other; else that
/// on the search path, the one that scripts/setup unpacked, or the newest in the usual places.
fn locate(home: &Home) -> Result<PathBuf> {
    let complete = |place: &PathBuf| place.join("initdb").is_file() && place.join("postgres").is_file();
    if let Some(named) = environment::variable(BINARIES) {
        let place = fs::canonicalize(&named).ok().filter(complete);
        return place.with_context(|| format!("{BINARIES} names {named}, which does not hold initdb and postgres"));
    }
    let on_path = find_on_path("initdb").and_then(|initdb| fs::canonicalize(initdb).ok());
    let on_path = on_path.and_then(|initdb| initdb.parent().map(Path::to_path_buf));
    let own = home.join("postgres-binaries/bin");
    let places = on_path.into_iter().chain([own]).chain(usual_places().flat_map(expand));
    places.into_iter().find(complete).context(
        "no PostgreSQL server is installed: `initdb` and `postgres` are neither on the search path nor in the usual places\n\
         install it with   apt-get install postgresql   |   dnf install postgresql-server   |   brew install postgresql\n\
         or let scripts/setup do it",
    )
}

fn usual_places() -> impl Iterator<Item = &'static str> {
    USUAL_PLACES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The folders a pattern with at most one `*` stands for, the highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let Some((parent, stem)) = before.rsplit_once('/') else { return Vec::new() };
    let names =
        fs::read_dir(parent).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut versions: Vec<String> = names.filter_map(|name| name.strip_prefix(stem).map(str::to_owned)).collect();
    versions.sort_by_key(|version| {
        std::cmp::Reverse(version.split('.').next().and_then(|major| major.parse::<u32>().ok()))
    });
    versions.into_iter().map(|version| PathBuf::from(format!("{before}{version}{after}"))).collect()
}

/// An account that is not root's: Postgres refuses to run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` when this process is not root and can run the server itself.
    fn for_server() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read the accounts of this machine")?;
        let found = ["postgres", "nobody"].iter().find_map(|name| Self::of(&accounts, name));
        found
            .map(Some)
            .context("Postgres does not run as root, and there is no account postgres or nobody to run it as")
    }

    fn of(accounts: &str, name: &str) -> Option<Self> {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Whether it may pass through every folder on the way.
    fn can_reach(self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|folder| {
            fs::metadata(folder).is_ok_and(|metadata| {
                let shift = if metadata.uid() == self.uid {
                    6
                } else if metadata.gid() == self.gid {
                    3
                } else {
                    0
                };
                metadata.mode() >> shift & 1 == 1
            })
        })
    }
}

/// In the home, or where the server's account can reach it: root's own folders are closed to others.
fn data_folder(home: &Home, account: Option<&Account>) -> Result<PathBuf> {
    let inside = home.join("postgres");
    let Some(account) = account else { return Ok(inside) };
    let data = if account.can_reach(&inside) {
        inside
    } else {
        let digest = catalog::digest::hex(home.path().as_os_str().as_encoded_bytes());
        PathBuf::from("/var/lib/datadetox").join(&digest[..16])
    };
    if let Some(parent) = data.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Ok(data)
}

/// Makes the cluster beside its place and moves it there, so that a half-made one is never started.
async fn create_cluster(binaries: &Path, data: &Path, account: Option<&Account>, superuser: &str) -> Result<()> {
    let fresh = data.with_extension("new");
    let secret = data.with_extension("password");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
    }
    fs::create_dir(&fresh).with_context(|| format!("cannot create {}", fresh.display()))?;
    fs::write(&secret, superuser)?;
    if let Some(account) = account {
        for path in [&fresh, &secret] {
            chown(path, Some(account.uid), Some(account.gid))?;
        }
    }
    let mut initdb = process::command(&binaries.join("initdb"), Ending::Kill);
    initdb.arg("-D").arg(&fresh).arg(format!("--pwfile={}", secret.display()));
    initdb.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
    let output = run_as(initdb, account).output().await.context("cannot run initdb");
    fs::remove_file(&secret)?;
    let output = output?;
    if !output.status.success() {
        bail!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&fresh, data).with_context(|| format!("cannot move the new cluster to {}", data.display()))
}

fn run_as(mut command: Command, account: Option<&Account>) -> Command {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    // The folder this program was started in may be closed to the server's account.
    command.current_dir("/");
    command
}

/// Ends the server that an earlier stack left behind when it crashed: our lock says that no stack uses it.
async fn end_leftover(data: &Path) -> Result<()> {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return Ok(()) };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else { return Ok(()) };
    // After a restart of the machine the number may be another process'.
    if !process::command_line(pid).is_some_and(|line| line.contains(&*data.to_string_lossy())) {
        return Ok(());
    }
    process::signal(pid, Ending::Interrupt)?;
    for _ in 0..1_000 {
        if !process::is_alive(pid) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the Postgres of an earlier run (process {pid}) does not end")
}

fn spawn_server(binaries: &Path, data: &Path, account: Option<&Account>, log: &Path) -> Result<(Child, u16)> {
    // Asked of the system and given back: another process may take it in between, and Postgres then says so.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = process::command(&binaries.join("postgres"), Ending::Interrupt);
    server.arg("-D").arg(data).arg("-p").arg(port.to_string());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=200",
        // A first load writes more than the default keeps between two checkpoints.
        "max_wal_size=4GB",
        "log_min_messages=warning",
    ] {
        server.arg("-c").arg(setting);
    }
    let file = fs::OpenOptions::new().create(true).append(true).open(log)?;
    server.stdout(Stdio::from(file.try_clone()?)).stderr(Stdio::from(file));
    let child = run_as(server, account).spawn().context("cannot start Postgres")?;
    Ok((child, port))
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_by_name() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(Account::of(accounts, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::of(accounts, "post"), None);
    }

    #[test]
    fn every_usual_place_is_a_folder_of_programs() {
        assert!(usual_places().count() > 5);
        for place in usual_places() {
            let stars = place.matches('*').count();
            assert!(place.starts_with('/') && place.ends_with("/bin") && stars < 2, "{place}");
        }
    }

    #[test]
    fn the_newest_version_is_tried_first() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "17"] {
            fs::create_dir_all(folder.path().join(format!("pg-{version}/bin"))).unwrap();
        }
        let pattern = format!("{}/pg-*/bin", folder.path().display());
        let found: Vec<String> = expand(&pattern).iter().map(|path| path.display().to_string()).collect();
        assert!(found[0].ends_with("pg-17/bin") && found[2].ends_with("pg-9.6/bin"), "{found:?}");
    }
}
