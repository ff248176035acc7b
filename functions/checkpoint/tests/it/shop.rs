//! A small warehouse, and the ledger's word on it.

use std::collections::BTreeMap;

use catalog::message::{Checkpoint, CheckpointRequest, LoadRequest, LoadStatus, Loaded};
use catalog::state::{SourceIdentity, State};
use catalog::{BatchName, Fault, Function, Result};
use ledger::Ledger;
use serde_json::Value;
use testbed::Testbed;

/// A dimension and a fact.
pub(crate) const CATALOGUE: &str = "
    [pipeline]
    name = 'shop'
    [source]
    lock_timeout = '100ms'
    [source.tables.staff]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer', name = 'text null' }
    [source.tables.line]
    key = 'number'
    capture = 'changes'
    columns = { number = 'integer', seller = 'integer null' }
    [dimensions.dim_staff]
    from = 'staff'
    columns = { id = 'id', name = 'name' }
    [facts.fact_line]
    from = 'line'
    surrogate_key = 'version'
    [facts.fact_line.columns]
    number = 'number'
    seller = { from = 'seller', references = 'dim_staff' }
";

/// The tables as a load makes them.
pub(crate) const TABLES: &str = "
    CREATE TABLE dim_staff (id integer PRIMARY KEY, name varchar);
    CREATE TABLE fact_line (version serial PRIMARY KEY, number integer NOT NULL, seller integer REFERENCES dim_staff);
    CREATE INDEX fact_line_version_idx ON fact_line (number, version DESC)";

/// A test's warehouse.
pub(crate) struct Shop {
    pub(crate) bed: Testbed,
}

impl Shop {
    /// A warehouse in which nothing is.
    pub(crate) async fn empty() -> Self {
        Self { bed: Testbed::new(CATALOGUE).await }
    }

    /// A warehouse with two staff and eleven lines, which the batch `one` brought.
    pub(crate) async fn loaded() -> Self {
        let mut shop = Self::empty().await;
        let rows = "INSERT INTO dim_staff VALUES (1, 'Ada'), (2, 'Bob');
                    INSERT INTO fact_line (number, seller) SELECT i, 1 FROM generate_series(1, 11) AS i";
        shop.bed.warehouse_does(&format!("{TABLES}; {rows}")).await;
        shop.notes("one").await;
        shop
    }

    /// Enters a batch as a load does.
    pub(crate) async fn notes(&mut self, name: &str) {
        let catalog = self.bed.catalog().clone();
        let ledger = Ledger::of(&catalog);
        let warehouse = &mut self.bed.warehouse;
        ledger.prepare(warehouse).await.expect("it is made");
        let newest = ledger.newest(warehouse).await.expect("it answers");
        let batch = testbed::batch(name, 0);
        ledger.note(warehouse, &batch, &BTreeMap::new(), |_| true).await.expect("it is noted");
        let request = LoadRequest {
            base: newest.as_ref().map(|newest| newest.batch.clone()),
            targets: BTreeMap::new(),
            extracted: Vec::new(),
            next: State {
                batch: batch.clone(),
                source: source(),
                life: None,
                tables: BTreeMap::new(),
                targets: BTreeMap::new(),
            },
            batch,
        };
        let loaded = Loaded {
            status: LoadStatus::Loaded,
            targets: BTreeMap::new(),
            rejected: 0,
            waiting: 0,
            alerts: Vec::new(),
            noticed: false,
            committed_at: Some(request.batch.started),
            freshness_ms: Some(0),
        };
        let state = format!("_states/{name}-a.json");
        ledger.enter(warehouse, &request, newest.as_ref(), &state, &loaded).await.expect("it is entered");
    }

    /// What a run is asked that begins now.
    pub(crate) fn request(&self) -> CheckpointRequest {
        CheckpointRequest {
            batch: testbed::batch("next", 1),
            catalogue: self.bed.catalog().fingerprint_of_all(),
            input: Value::Null,
        }
    }

    /// Asks.
    pub(crate) async fn handle(&self, request: CheckpointRequest) -> Result<Checkpoint> {
        Box::pin(checkpoint::handle(request, &self.bed.host(Function::Checkpoint).await)).await
    }

    /// Asks as a run does that begins now.
    pub(crate) async fn looks(&self) -> Checkpoint {
        self.handle(self.request()).await.unwrap_or_else(|error| panic!("{}", error.report()))
    }

    /// What has to be made anew, and why.
    pub(crate) async fn rebuilds(&self) -> Vec<String> {
        self.looks().await.rebuild.into_values().collect()
    }

    /// Insists that a run that begins now is refused with that fault and all of these words; the whole report.
    pub(crate) async fn refuses(&self, fault: Fault, words: &[&str]) -> String {
        let report = refusal(self.handle(self.request()).await, fault);
        for word in words {
            assert!(report.contains(word), "{word:?} is not in {report}");
        }
        report
    }

    pub(crate) async fn close(self) {
        self.bed.end().await;
    }
}

/// The report of a refusal, which has to be that fault.
pub(crate) fn refusal(answer: Result<Checkpoint>, fault: Fault) -> String {
    let error = answer.expect_err("it is refused");
    assert_eq!(error.fault(), fault, "{}", error.report());
    error.report()
}

/// The server that everything was read from.
pub(crate) fn source() -> SourceIdentity {
    SourceIdentity { system: "7".to_owned(), timeline: 1, database: 5, began: None }
}

/// The name of a batch.
pub(crate) fn name(name: &str) -> BatchName {
    BatchName::new(name).expect("a name")
}
