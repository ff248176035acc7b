//! One Postgres for all tests of a process. It lies under the build's folder and ends with the process.

use std::path::PathBuf;
use std::sync::OnceLock;

use catalog::{Ident, Side};
use local::{Home, Postgres};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::OnceCell;

use crate::execute;

/// Folders to choose from: so many processes of one package may test at a time.
const FOLDERS: u32 = 64;

/// The running server and its folder.
pub(crate) struct Cluster {
    pub(crate) postgres: Postgres,
    home: Home,
}

/// The cluster of this process, started at the first call.
pub(crate) async fn cluster() -> &'static Cluster {
    static STARTED: OnceCell<&'static Cluster> = OnceCell::const_new();
    STARTED.get_or_init(async || tokio::task::spawn_blocking(start).await.expect("the cluster starts")).await
}

/// Starts it on a thread that lives as long as the process: a server ends with the thread that started it.
fn start() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let (started, when) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let cluster = Cluster::start().await;
            CLUSTER.get_or_init(|| cluster);
            started.send(()).expect("somebody waits for it");
            std::future::pending::<()>().await;
        });
    });
    when.recv().expect("the cluster starts");
    CLUSTER.get().expect("it is started")
}

impl Cluster {
    async fn start() -> Self {
        let home = (1..=FOLDERS).find_map(|number| Home::take(&folder(number)).ok()).expect("a folder that is free");
        let postgres = Postgres::start(&home, "testbed").await.unwrap_or_else(|error| panic!("{error:#}"));
        let cluster = Self { postgres, home };
        let mut server = cluster.server().await;
        // What a test loads need not survive the machine, and databases come and go.
        execute(&mut server, "ALTER SYSTEM SET fsync = off").await;
        execute(&mut server, "ALTER SYSTEM SET full_page_writes = off").await;
        execute(&mut server, "SELECT pg_reload_conf()").await;
        server.close().await.expect("a connection closes");
        cluster
    }

    async fn server(&self) -> PgConnection {
        self.postgres.superuser_options("postgres").connect().await.expect("the server answers")
    }

    /// Makes both databases, without what an earlier try left in them, and tells where they are kept: a test that succeeds
    /// shows nothing of it.
    #[expect(clippy::print_stdout, reason = "the test's own output, shown when it fails")]
    pub(crate) async fn make_anew(&self, databases: &[String; 2]) {
        self.drop(databases).await;
        for (side, database) in Side::ALL.into_iter().zip(databases) {
            self.postgres.create_database(database, side).await.unwrap_or_else(|error| panic!("{error:#}"));
            println!(
                "kept when this test fails: database {database:?} of the cluster in {}",
                self.home.path().display()
            );
        }
    }

    /// Drops both databases, whoever is connected.
    pub(crate) async fn drop(&self, databases: &[String; 2]) {
        let mut server = self.server().await;
        for database in databases {
            let name = Ident::new(database.as_str()).expect("a name");
            execute(&mut server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name.sql())).await;
        }
        server.close().await.expect("a connection closes");
    }
}

/// Beside the programs of the build: `target/debug/testbed/<package>-<number>`; with the server's binaries in its name
/// where they were chosen, as no server reads the files of another version.
fn folder(number: u32) -> PathBuf {
    let program = std::env::current_exe().expect("the test's own program");
    let build = program.parent().and_then(|deps| deps.parent()).expect("it lies in the build's folder");
    let package = local::environment::variable("CARGO_PKG_NAME").unwrap_or_else(|| "tests".to_owned());
    let server = local::environment::variable(local::BINARIES)
        .map(|binaries| format!("{}-", &catalog::digest::hex(binaries.as_bytes())[..8]))
        .unwrap_or_default();
    build.join("testbed").join(format!("{package}-{server}{number}"))
}
