//! Stacks to look at.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{Catalog, EnvironmentName};
use cdktf::{Assembly, Environment};
use serde_json::Value;

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn catalog(text: &str) -> Arc<Catalog> {
    Arc::new(Catalog::parse("pipeline.toml", text).unwrap_or_else(|problems| panic!("{problems}")))
}

pub(crate) fn environments(text: &str) -> BTreeMap<EnvironmentName, Environment> {
    cdktf::environments("environments.toml", text).expect("they are right")
}

/// The assembly of the repository.
pub(crate) fn shipped() -> Assembly {
    let environments = environments(&read("cdktf/environments.toml"));
    cdktf::assembly(&catalog(&read("pipeline.toml")), &environments).expect("it is synthesized")
}

/// An environment that sets everything there is to set.
pub(crate) const EVERYTHING: &str = include_str!("../everything.toml");

/// The one stack of a catalogue in one environment.
pub(crate) fn stack_of(catalogue: &str, environment: &str) -> Value {
    let assembly = cdktf::assembly(&catalog(catalogue), &environments(environment)).expect("it is synthesized");
    let text = assembly.files.iter().find(|(path, _)| path.ends_with("cdk.tf.json")).expect("a stack").1;
    serde_json::from_str(text).expect("it is JSON")
}

/// Every resource: type, name, arguments.
pub(crate) fn resources(stack: &Value) -> Vec<(&str, &str, &Value)> {
    let kinds = stack["resource"].as_object().expect("resources");
    let each = kinds.iter().flat_map(|(kind, named)| {
        named.as_object().expect("named").iter().map(move |(name, body)| (kind.as_str(), name.as_str(), body))
    });
    each.collect()
}
