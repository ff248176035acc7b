//! A stack with sample data, and hands on both of its databases.

use std::path::PathBuf;
use std::time::Duration;

use asl::{Event, EventKind, Execution, Status};
use datadetox::catalogue::{self, Project};
use local::{APPLICATION, Config, Home, LOADER, Stack, build_when_run_by_cargo, run_name};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use totesys::{SeedSource, Trader, seed};

/// Orders of the sample: enough for every route, little enough for many tests.
const ORDERS: u64 = 300;

pub(crate) struct World {
    pub(crate) stack: Stack,
    /// The application's connection to the source.
    pub(crate) source: PgConnection,
    /// The loader's connection to the warehouse.
    pub(crate) warehouse: PgConnection,
    pub(crate) folder: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) output: Value,
    /// Error and cause.
    pub(crate) failure: (String, String),
}

impl World {
    /// A stack over the shipped catalogue with sample data in its source.
    pub(crate) async fn new() -> Self {
        Self::with_catalog(|text| text).await
    }

    /// The same with an edited catalogue.
    pub(crate) async fn with_catalog(edit: impl FnOnce(String) -> String) -> Self {
        let mut world = Self::empty(edit).await;
        let sample = SeedSource::Generated { orders: ORDERS, seed: 1 };
        seed(&mut world.source, &sample).await.expect("the sample fits");
        world
    }

    /// The same without sample data.
    pub(crate) async fn empty(edit: impl FnOnce(String) -> String) -> Self {
        Self::open(folder_with_catalog(edit), None).await
    }

    async fn open(folder: TempDir, own_source: Option<String>) -> Self {
        let (home, catalog_file) = (folder.path().join("home"), folder.path().join("pipeline.toml"));
        let project = Project { catalog: catalog_file.clone(), home: home.clone() };
        let deployment = project.on_laptop().unwrap_or_else(|error| panic!("{error:#}"));
        let config = Config {
            home: Home::take(&home).unwrap_or_else(|error| panic!("{error:#}")),
            serves: true,
            definition: catalogue::local_definition(&deployment),
            deployment,
            catalog_file,
            programs: Some(programs().await),
            source: own_source,
            warehouse: None,
            record_calls: None,
        };
        let stack = Stack::start(config).await.unwrap_or_else(|error| panic!("{error:#}"));
        let postgres = stack.postgres.as_ref().expect("a private Postgres");
        let source = postgres.options(APPLICATION).connect().await.expect("the source answers");
        let warehouse = postgres.options(LOADER).connect().await.expect("the warehouse answers");
        Self { stack, source, warehouse, folder }
    }

    /// Runs the pipeline once.
    pub(crate) async fn run(&mut self) -> Run {
        self.run_with(json!({})).await
    }

    /// The same with an input.
    pub(crate) async fn run_with(&mut self, input: Value) -> Run {
        let name = self.start(input).await;
        self.wait(&name).await
    }

    /// Starts an execution and answers its name.
    pub(crate) async fn start(&self, input: Value) -> String {
        let name = run_name();
        let client = aws_sdk_sfn::Client::new(self.stack.aws());
        let arn = &self.stack.machine.arn;
        let request = client.start_execution().state_machine_arn(arn).name(&name).input(input.to_string());
        request.send().await.expect("an execution starts");
        name
    }

    /// Runs the pipeline once and insists on success.
    pub(crate) async fn load(&mut self) -> Run {
        let run = self.run().await;
        assert_eq!(run.status, Status::Succeeded, "{run:?}\n{}", self.logs());
        run
    }

    pub(crate) async fn wait(&self, name: &str) -> Run {
        let entry = self.stack.execution(name).expect("it was started");
        let status = entry.ended().await;
        self.read(name, |execution| {
            let failure = execution.failure.clone();
            Run {
                name: name.to_owned(),
                status,
                output: execution.output.clone().unwrap_or_default(),
                failure: (failure.error.unwrap_or_default(), failure.cause.unwrap_or_default()),
            }
        })
    }

    /// Looks at an execution.
    pub(crate) fn read<T>(&self, run: &str, look: impl FnOnce(&Execution) -> T) -> T {
        let entry = self.stack.execution(run).expect("it was started");
        self.stack.states.read(&entry, look).expect("its journal is whole")
    }

    /// Waits until an execution's history holds such an event of a state.
    pub(crate) async fn until_state(&self, run: &str, state: &str, kind: &str) {
        let entry = self.stack.execution(run).expect("it was started");
        let mut changes = entry.watch();
        let seen = async {
            loop {
                let found = |event: &Event| event.kind.name() == kind && event.kind.state_name() == Some(state);
                if self.read(run, |execution| execution.events.iter().any(found)) {
                    return;
                }
                changes.changed().await.expect("the execution lives");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("the state is reached");
    }

    /// How many events of a kind a run's history holds.
    pub(crate) fn events(&self, run: &str, kind: &str) -> usize {
        self.read(run, |execution| execution.events.iter().filter(|event| event.kind.name() == kind).count())
    }

    /// Redrives a failed execution.
    pub(crate) async fn redrive(&self, run: &str) {
        let client = aws_sdk_sfn::Client::new(self.stack.aws());
        let request = client.redrive_execution().execution_arn(self.stack.machine.execution_arn(run));
        request.send().await.expect("it can be redriven");
        // The service answers before the execution goes on.
        let entry = self.stack.execution(run).expect("it was started");
        let mut changes = entry.watch();
        while entry.status() != Status::Running {
            changes.changed().await.expect("the execution lives");
        }
    }

    /// How often a state of a run was entered.
    pub(crate) fn visits(&self, run: &str, state: &str) -> usize {
        self.read(run, |execution| {
            let entered = execution.events.iter().filter(|event| matches!(event.kind, EventKind::StateEntered { .. }));
            entered.filter(|event| event.kind.state_name() == Some(state)).count()
        })
    }

    /// What the alerts topic got, the oldest first.
    pub(crate) fn alerts(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.path("home/inbox")).expect("the inbox is a folder");
        let mut files: Vec<PathBuf> = folder.map(|file| file.expect("it can be read").path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).expect("a message is a text")).collect()
    }

    /// Lets Postgres log what the pipeline asks the source from now on.
    pub(crate) async fn log_source_reads(&mut self) {
        let options = self.stack.postgres.as_ref().expect("a private Postgres").superuser_options("postgres");
        let mut server = options.connect().await.expect("the server answers");
        execute(&mut server, "ALTER ROLE reader SET log_statement = 'all'").await;
        server.close().await.expect("a connection closes");
    }

    /// How often rows of a table (or of every one, for `""`) were copied out since then.
    pub(crate) fn source_reads(&self, table: &str) -> usize {
        let log = std::fs::read_to_string(self.path("home/logs/postgres.log")).expect("Postgres logs");
        let from =
            if table.is_empty() { "FROM \"public\".".to_owned() } else { format!("FROM \"public\".\"{table}\"") };
        log.lines().filter(|line| line.contains("statement: COPY (") && line.contains(&from)).count()
    }

    /// Statements in the source, as the application.
    pub(crate) async fn application(&mut self, sql: &str) {
        execute(&mut self.source, sql).await;
    }

    /// Statements in the warehouse, as its owner.
    pub(crate) async fn warehouse_does(&mut self, sql: &str) {
        execute(&mut self.warehouse, sql).await;
    }

    /// One value from the source, as text.
    pub(crate) async fn source_value(&mut self, query: &str) -> String {
        ask(&mut self.source, query).await
    }

    /// The application at work.
    pub(crate) async fn trader(&self, seed: u64) -> Trader {
        let connect = async || self.options_of_application().connect().await.expect("the source answers");
        Trader::new(connect().await, connect().await, seed)
    }

    /// Another connection of the application's, with a transaction open that began with these statements.
    pub(crate) async fn hold(&self, sql: &str) -> PgConnection {
        let mut holder = self.options_of_application().connect().await.expect("the source answers");
        execute(&mut holder, &format!("BEGIN; {sql}")).await;
        holder
    }

    /// For another connection of the application's.
    pub(crate) fn options_of_application(&self) -> PgConnectOptions {
        self.stack.postgres.as_ref().expect("a private Postgres").options(APPLICATION)
    }

    /// One value from the warehouse, as text.
    pub(crate) async fn warehouse(&mut self, query: &str) -> String {
        ask(&mut self.warehouse, query).await
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the functions logged: for the message of a failed test.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.path("home/logs")).into_iter().flatten().flatten() {
            let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
            if !errors.is_empty() {
                text += &format!("{}:\n{}\n", entry.path().display(), errors.join("\n"));
            }
        }
        text
    }

    /// Everything the stack wrote but what only its owner may read: logs, journals, messages, objects.
    pub(crate) fn everything_written(&self) -> String {
        let mut text = String::new();
        let mut folders: Vec<PathBuf> =
            ["logs", "executions", "inbox", "lake"].map(|name| self.path("home").join(name)).into();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be read")) {
                match entry.file_type().expect("a type") {
                    kind if kind.is_dir() => folders.push(entry.path()),
                    _ => text += &String::from_utf8_lossy(&std::fs::read(entry.path()).expect("it can be read")),
                }
            }
        }
        text
    }

    /// Stops the stack and starts it again over the same folder, with another source if one is named.
    pub(crate) async fn restart(self, source: Option<String>) -> Self {
        Self::open(self.stop().await, source).await
    }

    /// Stops the stack, insists that no function ended with a panic, and leaves its folder.
    pub(crate) async fn stop(self) -> TempDir {
        drop((self.source, self.warehouse));
        self.stack.stop().await.expect("the stack stops");
        for log in std::fs::read_dir(self.folder.path().join("home/logs")).expect("the functions logged") {
            let log = log.expect("it can be read").path();
            let text = std::fs::read_to_string(&log).expect("a log is text");
            assert!(!text.contains("panicked at"), "{}:\n{text}", log.display());
        }
        self.folder
    }
}

impl Run {
    /// Counts of a target: added, updated, unchanged, deferred, rejected.
    pub(crate) fn counts(&self, target: &str) -> [u64; 5] {
        let counts = &self.output["load"]["targets"][target];
        ["added", "updated", "unchanged", "deferred", "rejected"].map(|name| counts[name].as_u64().unwrap_or_default())
    }

    /// The targets of which anything but `unchanged` was counted.
    pub(crate) fn changed(&self) -> Vec<(String, [u64; 2])> {
        let targets = self.output["load"]["targets"].as_object().into_iter().flatten();
        let counts = targets.map(|(name, _)| (name.clone(), self.counts(name)));
        counts
            .filter(|(_, counts)| counts[0] + counts[1] > 0)
            .map(|(name, counts)| (name, [counts[0], counts[1]]))
            .collect()
    }
}

/// A temporary folder that holds an edited copy of the shipped catalogue.
pub(crate) fn folder_with_catalog(edit: impl FnOnce(String) -> String) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipeline.toml");
    let text = std::fs::read_to_string(shipped).expect("the repository holds pipeline.toml");
    std::fs::write(folder.path().join("pipeline.toml"), edit(text)).expect("a temporary file");
    // The server's account has to reach its data, and temporary folders are closed to others.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("its own folder");
    folder
}

/// The functions' programs, built once for all tests.
pub(crate) async fn programs() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || build_when_run_by_cargo().await.expect("the functions build");
    BUILT.get_or_init(build).await.clone()
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{error}\n{sql}"));
}

pub(crate) async fn ask(connection: &mut PgConnection, query: &str) -> String {
    let query = format!("SELECT coalesce((SELECT ({query}))::text, 'NULL')");
    let answer = sqlx::query_scalar(AssertSqlSafe(query.clone())).fetch_one(connection).await;
    answer.unwrap_or_else(|error| panic!("{error}\n{query}"))
}
