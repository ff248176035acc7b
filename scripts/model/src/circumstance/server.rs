//! Servers that die, are changed for another, or stand beside.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use rustix::process::{Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};

use crate::cluster::{Cluster, SOURCE, postmaster};
use crate::site::Site;
use crate::sql;

/// The source under another identity.
const COPY: &str = "shop_copy";

/// The ports in the names of the sockets, which lie where the server's own one does.
const STANDBY: u16 = 5433;
const ENDPOINT: u16 = 5434;

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// The server dies that holds both databases, and is started again; the stack with it.
pub(super) async fn kill_both(site: &Site) -> Result<()> {
    site.move_databases(Cluster::kill_and_start).await
}

pub(super) async fn replace(site: &Site) -> Result<()> {
    let replaced = async |mut cluster: Cluster| {
        cluster.copy(SOURCE, COPY, local::APPLICATION).await?;
        COPY.clone_into(&mut cluster.source);
        Ok(cluster)
    };
    site.move_databases(replaced).await
}

/// A standby of the seed's server, and a reader endpoint before both.
#[derive(Default)]
pub(crate) struct Beside {
    standby: Option<Standby>,
    /// The endpoint's socket, once there is one.
    endpoint: Option<PathBuf>,
    /// Where the reader endpoint leads of late: 0 while it leads to either.
    only: Arc<AtomicU16>,
}

struct Standby {
    server: Child,
    programs: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    sockets: PathBuf,
    /// The port in the name of the other server's socket.
    primary: u16,
    options: PgConnectOptions,
}

impl Standby {
    /// One of Postgres' programs, as the account that the folder belongs to.
    fn program(programs: &Path, name: &str, account: &std::fs::Metadata) -> Command {
        let mut command = Command::new(programs.join(name));
        command.uid(account.uid()).gid(account.gid()).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
        command.env_clear();
        command
    }

    fn start(programs: &Path, folder: &Path, sockets: &Path, log: &Path) -> Result<Child> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut server = Self::program(programs, "postgres", &std::fs::metadata(folder)?);
        server.arg("-D").arg(folder).args(["-p", &STANDBY.to_string(), "-c", "listen_addresses="]);
        server.args(["-c", &format!("unix_socket_directories=\"{}\"", sockets.display()), "-c", "max_connections=200"]);
        // What is committed and not flushed is lost when it dies, as far as it was not asked to be safe.
        server.args(["-c", "wal_writer_delay=2s", "-c", "wal_writer_flush_after=1GB"]);
        server.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log)).spawn().context("cannot start a server")
    }
}

impl Beside {
    /// Makes the standby and waits until it answers.
    pub(super) async fn begin(&mut self, site: &Site) -> Result<()> {
        let cluster = site.cluster.lock().await;
        let cluster = cluster.as_ref().context("there is no server")?;
        let (data, programs) = cluster.folders().await?;
        let account = std::fs::metadata(&data)?;
        let folder = data.with_extension("standby");
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        chown(&folder, Some(account.uid()), Some(account.gid()))?;
        let (primary, sockets) = (cluster.server(), cluster.sockets());
        let backup = Standby::program(&programs, "pg_basebackup", &account)
            .args(["--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--wal-method=stream"])
            .arg("-h")
            .arg(&sockets)
            .args(["-p", &primary.get_port().to_string(), "-U", primary.get_username()])
            // Not on the command line, which everybody reads.
            .env("PGPASSWORD", superuser_password(site)?)
            .arg("-D")
            .arg(&folder)
            .output()
            .await?;
        if !backup.status.success() {
            bail!("pg_basebackup failed: {}", String::from_utf8_lossy(&backup.stderr));
        }
        let log = site.launch.path("standby.log");
        let server = Standby::start(&programs, &folder, &sockets, &log)?;
        let (primary, options) = (primary.get_port(), primary.port(STANDBY));
        self.standby = Some(Standby { server, programs, folder, log, sockets, primary, options });
        self.wait_for("SELECT pg_is_in_recovery()").await
    }

    fn standby(&self) -> Result<&Standby> {
        self.standby.as_ref().context("there is no standby")
    }

    async fn wait_for(&self, question: &str) -> Result<()> {
        let standby = self.standby()?;
        for _ in 0..600 {
            if sql::ask_once(&standby.options, question).await.is_ok_and(|answer| answer == "true") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the standby never answers yes to {question}")
    }

    /// It has all that the primary has, and is the source from now on. Nobody writes meanwhile.
    pub(super) async fn promote(&mut self, site: &Site) -> Result<()> {
        let written = sql::ask_once(&site.place().server, "SELECT pg_current_wal_lsn()").await?;
        self.wait_for(&format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn")).await?;
        let standby = self.standby()?;
        sql::once(&standby.options, "SELECT pg_promote()").await?;
        self.wait_for("SELECT NOT pg_is_in_recovery()").await?;
        let promoted = async |mut cluster: Cluster| {
            cluster.source_port = Some(STANDBY);
            Ok(cluster)
        };
        site.move_databases(promoted).await
    }

    /// The source's server dies as a machine does, with what it had not flushed, and is started again where it was.
    /// Numbers of transactions that were lost are given a second time: nothing runs until all of them are.
    pub(super) async fn kill_source(&mut self, site: &Site) -> Result<()> {
        const NEXT: &str = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        let standby = self.standby.as_mut().context("there is no standby")?;
        let before = sql::ask_once(&standby.options, NEXT).await?;
        kill_process(postmaster(&standby.folder)?, Signal::KILL)?;
        standby.server.wait().await?;
        // Its children see that it is gone, and end; until then they hold what it shared.
        for _ in 0..100 {
            standby.server = Standby::start(&standby.programs, &standby.folder, &standby.sockets, &standby.log)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if standby.server.try_wait()?.is_none() {
                self.wait_for("SELECT NOT pg_is_in_recovery()").await?;
                let after = sql::ask_once(&self.standby()?.options, NEXT).await?;
                site.steps.note(&format!("the next transaction was {before}, and is {after} again"));
                let lost = before.parse::<u64>()?.saturating_sub(after.parse()?);
                site.tally.add("transactions lost", lost);
                return self.wait_for(&format!("{NEXT} > '{before}'::xid8")).await;
            }
        }
        bail!("the server that was killed does not start again")
    }

    /// The functions reach the source by an endpoint that leads to either server, and the standby stands still.
    pub(super) async fn lag(&mut self, site: &Site, mut rng: Rng) -> Result<()> {
        let standby = self.standby()?;
        sql::once(&standby.options, "SELECT pg_wal_replay_pause()").await?;
        let sockets = standby.sockets.clone();
        let endpoint = socket(&sockets, ENDPOINT);
        let listener = UnixListener::bind(&endpoint).context("cannot stand before the servers")?;
        let primary = standby.primary;
        self.endpoint = Some(endpoint);
        let only = Arc::clone(&self.only);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let port = match only.load(Ordering::Relaxed) {
                    0 => [primary, STANDBY][rng.usize(..2)],
                    port => port,
                };
                let server = socket(&sockets, port);
                tokio::spawn(async move {
                    let mut server = UnixStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        let moved = async |mut cluster: Cluster| {
            cluster.reader_port = Some(ENDPOINT);
            Ok(cluster)
        };
        site.move_databases(moved).await
    }

    /// The standby goes on; the endpoint leads to the primary again.
    pub(super) async fn catch_up(&mut self) -> Result<()> {
        let standby = self.standby()?;
        self.only.store(standby.primary, Ordering::Relaxed);
        sql::once(&standby.options, "SELECT pg_wal_replay_resume()").await
    }

    /// Ends the standby.
    pub(crate) async fn end(self) -> Result<()> {
        if let Some(mut standby) = self.standby {
            standby.server.kill().await.context("cannot end the standby")?;
        }
        if let Some(endpoint) = self.endpoint {
            std::fs::remove_file(endpoint).context("cannot remove the endpoint's socket")?;
        }
        Ok(())
    }
}

/// For the programs of Postgres; the file is the superuser's and the seed's own.
fn superuser_password(site: &Site) -> Result<String> {
    let credentials: PathBuf = site.launch.path("databases/credentials.json");
    let credentials: serde_json::Value = serde_json::from_slice(&std::fs::read(Path::new(&credentials))?)?;
    Ok(credentials["superuser"].as_str().context("the superuser has a password")?.to_owned())
}
