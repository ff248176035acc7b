//! What a function is tested on, all of it real and in this process: Postgres with two databases of the test's own, S3,
//! Secrets Manager and Step Functions on loopback, and the `Host` that a function would stand on, with its own credentials.
//!
//! Databases are named after the test and the pipeline, so that a test may have two. They go when it ends with [`Testbed::end`] and stay when it fails, with a word on how
//! to look into them; the next try of the same test begins with new ones.
//!
//! ```no_run
//! # async fn a_test() {
//! use catalog::Function;
//! use testbed::Testbed;
//!
//! let text = "[pipeline]\nname = 'p'\n[source.tables.t]\nkey = 'id'\ncapture = 'changes'\ncolumns = { id = 'integer' }\n\
//!             [dimensions.d]\nfrom = 't'\ncolumns = { id = 'id' }\n";
//! let mut bed = Testbed::new(text).await;
//! bed.source_does("CREATE TABLE t (id integer PRIMARY KEY)").await;
//! let table = &bed.catalog().source.tables[0];
//! let host = bed.host(Function::Extract(table)).await;
//! // … extract::handle(request, &host) …
//! bed.end().await;
//! # }
//! ```
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod cluster;

use std::sync::Arc;
use std::time::Duration;

use catalog::{Batch, BatchName, Catalog, Deployment, Function, Ident, Side};
use host::{Call, Host, Needs, Settings};
use local::{APPLICATION, Config, Home, LOADER, READER, Stack};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::cluster::cluster;

/// Time that a call of a function has, unless a test says otherwise.
const TIME: Duration = Duration::from_secs(60);

/// Everything that a function of one catalogue stands on.
pub struct Testbed {
    /// The local services. Their state machine only waits: a test may start executions that run.
    pub stack: Stack,
    /// The application's connection to the source.
    pub source: PgConnection,
    /// The loader's connection to the warehouse.
    pub warehouse: PgConnection,
    /// A folder for what the test keeps.
    pub folder: TempDir,
    databases: [String; 2],
}

impl Testbed {
    /// A test bed for a catalogue.
    pub async fn new(catalogue: &str) -> Self {
        Self::with_warehouse_secret(catalogue, |secret| secret).await
    }

    /// The same, where functions are told something else of the warehouse than is true: its secret comes in as it should be,
    /// and goes out as they read it.
    pub async fn with_warehouse_secret(catalogue: &str, told: impl FnOnce(String) -> String) -> Self {
        let catalog = Catalog::parse("pipeline.toml", catalogue).unwrap_or_else(|problems| panic!("{problems}"));
        let cluster = cluster().await;
        let test = std::thread::current().name().unwrap_or("test").replace("::", " ");
        let named = |side: Side| Ident::derived(&[&test, &catalog.pipeline.name, side.name()]).to_string();
        let databases = Side::ALL.map(named);
        cluster.make_anew(&databases).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let catalog_file = folder.path().join("pipeline.toml");
        std::fs::write(&catalog_file, catalogue).expect("a temporary file");
        let secret = |role, database: &String| Some(cluster.postgres.secret_for(role, database));
        let config = Config {
            home: Home::take(&folder.path().join("home")).unwrap_or_else(|error| panic!("{error:#}")),
            serves: true,
            deployment: Deployment::on_laptop(Arc::new(catalog)),
            catalog_file,
            definition: json!({ "StartAt": "Wait", "States": { "Wait": { "Type": "Wait", "Seconds": 3600, "End": true } } }),
            programs: None,
            source: secret(READER, &databases[0]),
            warehouse: secret(LOADER, &databases[1]).map(told),
            record_calls: None,
        };
        let stack = Box::pin(Stack::start(config)).await.unwrap_or_else(|error| panic!("{error:#}"));
        let connect = async |role, database: &String| {
            let options: PgConnectOptions = cluster.postgres.options_for(role, database);
            options.connect().await.expect("the database answers")
        };
        let source = connect(APPLICATION, &databases[0]).await;
        let warehouse = connect(LOADER, &databases[1]).await;
        Self { stack, source, warehouse, folder, databases }
    }

    /// The catalogue.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.stack.deployment.catalog
    }

    /// What a function stands on when it is called: its own environment and credentials, and a minute of time.
    #[must_use]
    pub async fn host(&self, function: Function<'_>) -> Host {
        let environment = self.stack.environment_of(function);
        let needs = match self.catalog().access(function).database {
            None => Needs::LAKE,
            Some(Side::Source) => Needs::SOURCE,
            Some(Side::Warehouse) => Needs::WAREHOUSE,
        };
        let lookup = |name: &str| match name {
            "AWS_LAMBDA_FUNCTION_NAME" => Some(self.stack.deployment.function(function)),
            name => environment.get(name).cloned(),
        };
        let settings = Settings::of(needs, lookup).expect("the stack sets everything");
        let mut host = Host::new(settings, self.stack.aws_of(function).await).expect("the catalogue is right");
        let deadline = host::now().timestamp_millis() + i64::try_from(TIME.as_millis()).expect("a minute");
        host.call = Call { request_id: "first".to_owned(), deadline_ms: u64::try_from(deadline).expect("after 1970") };
        host
    }

    /// A role's connection options for one of the databases: `local::{READER, LOADER, APPLICATION}`.
    #[must_use]
    pub async fn options(&self, role: &str, side: Side) -> PgConnectOptions {
        cluster().await.postgres.options_for(role, self.database(side))
    }

    /// A superuser's connection to one of the databases.
    pub async fn superuser(&self, side: Side) -> PgConnection {
        let options = cluster().await.postgres.superuser_options(self.database(side));
        options.connect().await.expect("the database answers")
    }

    /// The name of one of the databases.
    #[must_use]
    pub fn database(&self, side: Side) -> &str {
        match side {
            Side::Source => &self.databases[0],
            Side::Warehouse => &self.databases[1],
        }
    }

    /// Statements in the source, as the application.
    pub async fn source_does(&mut self, sql: &str) {
        execute(&mut self.source, sql).await;
    }

    /// Statements in the warehouse, as its owner.
    pub async fn warehouse_does(&mut self, sql: &str) {
        execute(&mut self.warehouse, sql).await;
    }

    /// One value from the source, as text.
    pub async fn ask_source(&mut self, query: &str) -> String {
        ask(&mut self.source, query).await
    }

    /// One value from the warehouse, as text.
    pub async fn ask_warehouse(&mut self, query: &str) -> String {
        ask(&mut self.warehouse, query).await
    }

    /// Another connection to one of the databases, of its owner, with a transaction open that began with these statements.
    pub async fn hold(&self, side: Side, sql: &str) -> PgConnection {
        let owner = if side == Side::Source { APPLICATION } else { LOADER };
        let mut holder = self.options(owner, side).await.connect().await.expect("the database answers");
        execute(&mut holder, &format!("BEGIN; {sql}")).await;
        holder
    }

    /// Ends the test: its databases go. A test that fails before keeps them.
    pub async fn end(self) {
        self.source.close().await.expect("a connection closes");
        self.warehouse.close().await.expect("a connection closes");
        self.stack.stop().await.expect("the stack stops");
        cluster().await.drop(&self.databases).await;
    }
}

/// A batch of that name, `minute` minutes after the beginning of 2026.
#[must_use]
pub fn batch(name: &str, minute: u32) -> Batch {
    let millis = 1_767_225_600_000 + i64::from(minute) * 60_000;
    let started = chrono::DateTime::from_timestamp_millis(millis).expect("a time");
    Batch { name: BatchName::new(name).expect("a name"), started }
}

/// Runs statements that answer nothing.
pub async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{error}\n{sql}"));
}

/// The one value that a query answers, as text; `NULL` where it is null.
pub async fn ask(connection: &mut PgConnection, query: &str) -> String {
    let query = format!("SELECT coalesce((SELECT ({query}))::text, 'NULL')");
    let answer = sqlx::query_scalar(AssertSqlSafe(query.clone())).fetch_one(connection).await;
    answer.unwrap_or_else(|error| panic!("{error}\n{query}"))
}
