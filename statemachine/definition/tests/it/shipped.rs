//! The shipped catalogue and its definition.

use std::sync::Arc;

use catalog::{Catalog, Deployment};
use serde_json::{Value, json};

pub(crate) fn totesys() -> Catalog {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipeline.toml");
    let text = std::fs::read_to_string(path).expect("the repository holds pipeline.toml");
    Catalog::parse("pipeline.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The definition with the names of the local stack.
pub(crate) fn local_definition(catalog: &Catalog) -> Value {
    let deployment = Deployment::on_laptop(Arc::new(catalog.clone()));
    let topic = format!("arn:aws:sns:us-east-1:000000000000:{}", deployment.topic());
    definition::on_laptop(&deployment, topic)
}

/// What `checkpoint` answers of a warehouse in which it found this.
pub(crate) fn checkpoint(alerts: &[&str]) -> Value {
    json!({
        "base": null, "rebuild": {}, "warehouse": null, "waiting": 0, "alerts": alerts, "noticed": !alerts.is_empty(),
    })
}

/// What `load` answers.
pub(crate) fn loaded(rejected: u64) -> Value {
    json!({
        "status": "loaded", "targets": {}, "rejected": rejected, "waiting": rejected, "alerts": [], "noticed": false,
        "committed_at": "", "freshness_ms": 1,
    })
}
