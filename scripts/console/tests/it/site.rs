//! A console over the services of a small stack, with machines that need no function, and whoever asks it byte by byte.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Deployment};
use local::{Config, Home, Stack};
use runs::Orchestrator;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use web_console::{Console, Settings};

const CATALOGUE: &str = "
    [pipeline]
    name = 'shop'
    [source.tables.staff]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer' }
    [dimensions.dim_staff]
    from = 'staff'
    columns = { id = 'id' }
";

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Site {
    pub(crate) stack: Stack,
    console: Console,
    _folder: TempDir,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a form's hidden field.
    pub(crate) fn token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"token\" value=\"").expect("the page has a form");
        rest.split('"').next().expect("it has an end").to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&start))
    }
}

impl Site {
    pub(crate) async fn of(definition: Value) -> Self {
        Self::start(definition, false).await
    }

    pub(crate) async fn read_only(definition: Value) -> Self {
        Self::start(definition, true).await
    }

    async fn start(definition: Value, is_read_only: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let catalog_file = folder.path().join("pipeline.toml");
        std::fs::write(&catalog_file, CATALOGUE).expect("a temporary file");
        let catalog = Catalog::parse("pipeline.toml", CATALOGUE).unwrap_or_else(|problems| panic!("{problems}"));
        let nowhere = Some("postgres://nobody@127.0.0.1:1/nowhere".to_owned());
        let deployment = Deployment::on_laptop(Arc::new(catalog));
        let config = Config {
            home: Home::take(&folder.path().join("home")).unwrap_or_else(|error| panic!("{error:#}")),
            serves: true,
            deployment: deployment.clone(),
            catalog_file,
            definition,
            programs: None,
            source: nowhere.clone(),
            warehouse: nowhere,
            record_calls: None,
        };
        let stack = Box::pin(Stack::start(config)).await.unwrap_or_else(|error| panic!("{error:#}"));
        let settings = Settings {
            orchestrator: Orchestrator::of(&stack),
            deployment,
            place: "this machine".to_owned(),
            is_read_only,
            port: 0,
        };
        let console = Console::open(settings).await.unwrap_or_else(|error| panic!("{error:#}"));
        Self { stack, console, _folder: folder }
    }

    /// Where a browser finds it, without a slash at the end.
    pub(crate) fn origin(&self) -> String {
        self.console.url().trim_end_matches('/').to_owned()
    }

    fn host(&self) -> String {
        self.origin().trim_start_matches("http://").to_owned()
    }

    pub(crate) fn orchestrator(&self) -> Orchestrator {
        Orchestrator::of(&self.stack)
    }

    /// Starts a run with that input and waits until it is no longer at work. Answers its name.
    pub(crate) async fn run(&self, input: &str) -> String {
        let arn = self.orchestrator().start_with(input).await.unwrap_or_else(|error| panic!("{error:#}"));
        self.until(&arn, "has ended", |status| status != "RUNNING").await;
        arn.rsplit(':').next().expect("a name").to_owned()
    }

    /// Waits until a run's status is as wanted.
    pub(crate) async fn until(&self, run: &str, what: &str, is_wanted: impl Fn(&str) -> bool) {
        let arn = self.orchestrator().arn(run);
        let wait = async {
            let mut looks = tokio::time::interval(LOOK);
            loop {
                looks.tick().await;
                let described = self.orchestrator().describe(&arn).await.unwrap_or_else(|error| panic!("{error:#}"));
                if is_wanted(described.status.as_str()) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("the run never {what}"));
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], "").await
    }

    /// Sends a form as a browser sends one of the console's own pages.
    pub(crate) async fn post(&self, target: &str, members: &[(&str, &str)]) -> Answer {
        let origin = self.origin();
        self.ask("POST", target, &[("origin", &origin), ("sec-fetch-site", "same-origin")], &form(members)).await
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut connection = self.connect(method, target, headers, body).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
        read.expect("it answers").expect("it answers whole");
        let text = String::from_utf8(answer).expect("pages are UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.replace('\r', ""), body: body.to_owned() }
    }

    /// A connection on which that was asked.
    pub(crate) async fn connect(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let host = self.host();
        let mut connection = TcpStream::connect(&host).await.expect("the console listens");
        let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            let length = body.len();
            text.push_str(&format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n"));
        }
        text.push_str(&format!("\r\n{body}"));
        connection.write_all(text.as_bytes()).await.expect("it is read");
        connection
    }
}

/// Members as a form sends them.
pub(crate) fn form(members: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        form.append_pair(name, value);
    }
    form.finish()
}
