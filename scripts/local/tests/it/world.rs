//! Services of a small catalogue, and whoever calls them.

use std::sync::Arc;

use catalog::{Catalog, Deployment, Function};
use local::{Config, Home, OPERATOR, Stack, sdk_config};
use serde_json::{Value, json};
use tempfile::TempDir;

const CATALOGUE: &str = "
    [pipeline]
    name = 'shop'
    [source.tables.staff]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer' }
    [source.tables.payment]
    key = 'id'
    capture = 'changes'
    columns = { id = 'integer' }
    [dimensions.dim_staff]
    from = 'staff'
    columns = { id = 'id' }
";

pub(crate) const BUCKET: &str = "shop-ingestion";

pub(crate) struct World {
    pub(crate) stack: Stack,
    folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(json!({ "StartAt": "Wait", "States": { "Wait": { "Type": "Wait", "Seconds": 3600, "End": true } } }))
            .await
    }

    /// The same with another state machine.
    pub(crate) async fn of(definition: Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let catalog_file = folder.path().join("pipeline.toml");
        std::fs::write(&catalog_file, CATALOGUE).expect("a temporary file");
        let catalog = Catalog::parse("pipeline.toml", CATALOGUE).unwrap_or_else(|problems| panic!("{problems}"));
        let nowhere = Some("postgres://nobody@127.0.0.1:1/nowhere".to_owned());
        let config = Config {
            home: Home::take(&folder.path().join("home")).unwrap_or_else(|error| panic!("{error:#}")),
            serves: true,
            deployment: Deployment::on_laptop(Arc::new(catalog)),
            catalog_file,
            definition,
            programs: None,
            source: nowhere.clone(),
            warehouse: nowhere,
            record_calls: None,
        };
        let stack = Box::pin(Stack::start(config)).await.unwrap_or_else(|error| panic!("{error:#}"));
        Self { stack, folder }
    }

    /// The function that extracts a table.
    pub(crate) fn extract(&self, table: &str) -> Function<'_> {
        Function::Extract(self.stack.deployment.catalog.table(table).expect("the catalogue has it"))
    }

    /// Access key and secret of a function.
    pub(crate) fn credentials(&self, function: Function<'_>) -> (String, String) {
        let environment = self.stack.environment_of(function);
        let told = |name: &str| environment.get(name).expect("it is told").clone();
        (told("AWS_ACCESS_KEY_ID"), told("AWS_SECRET_ACCESS_KEY"))
    }

    /// A configuration for whoever has that key.
    pub(crate) async fn config(&self, key: &str, secret: &str) -> aws_config::SdkConfig {
        sdk_config(&self.stack.endpoint, key, secret).await
    }

    /// An S3 client for whoever has that key.
    pub(crate) async fn lake(&self, key: &str, secret: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config(key, secret).await).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// An S3 client of a function.
    pub(crate) async fn lake_of(&self, function: Function<'_>) -> aws_sdk_s3::Client {
        let (key, secret) = self.credentials(function);
        self.lake(&key, &secret).await
    }

    /// An S3 client of the operator.
    pub(crate) async fn lake_of_operator(&self) -> aws_sdk_s3::Client {
        self.lake(OPERATOR, &self.operator_secret()).await
    }

    /// The operator's secret.
    pub(crate) fn operator_secret(&self) -> String {
        let text = std::fs::read_to_string(self.stack.home.join("aws_config")).expect("the stack runs");
        let secret = text.lines().find_map(|line| line.strip_prefix("aws_secret_access_key = "));
        secret.expect("it is in there").to_owned()
    }

    /// The ARN of the one state machine.
    pub(crate) async fn state_machine(&self) -> String {
        let machines = aws_sdk_sfn::Client::new(self.stack.aws()).list_state_machines().send().await.expect("a list");
        machines.state_machines()[0].state_machine_arn.clone()
    }

    /// What the topic got, the oldest first.
    pub(crate) fn messages(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.stack.home.join("inbox")).expect("the inbox is a folder");
        let mut files: Vec<_> = folder.map(|file| file.expect("it can be read").path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read_to_string(file).expect("a message is a text")).collect()
    }

    pub(crate) async fn stop(self) {
        self.stack.stop().await.expect("the stack stops");
        drop(self.folder);
    }
}
