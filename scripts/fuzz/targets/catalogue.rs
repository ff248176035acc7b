//! A `pipeline.toml`: parsed, or its mistakes told. What is parsed twice is the same, and each target has its fingerprint.

#![no_main]

use std::sync::Arc;

use catalog::{Catalog, Deployment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Catalog::parse("pipeline.toml", text) {
        Err(problems) => {
            assert!(!problems.list.is_empty(), "refused for nothing");
            for problem in &problems.list {
                assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len(), "{problem:?}");
            }
            assert!(problems.to_string().starts_with("pipeline.toml:"), "{problems}");
        }
        Ok(catalog) => {
            let again = Catalog::parse("pipeline.toml", text).expect("it was parsed before");
            for (one, other) in catalog.warehouse.targets.iter().zip(&again.warehouse.targets) {
                assert_eq!(catalog.fingerprint(one), again.fingerprint(other), "{}", one.name);
            }
            let deployment = Deployment::on_laptop(Arc::new(catalog));
            for function in deployment.catalog.all_functions() {
                let name = deployment.function(function);
                assert!(name.len() <= 64, "AWS Lambda takes no name as long as {name}");
            }
        }
    }
});
