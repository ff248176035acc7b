//! Every name of a deployment, for scripts in other languages.

use std::sync::Arc;

use anyhow::Result;
use catalog::key::{Bucket, STATES};
use catalog::{Catalog, Deployment, EnvironmentName, Side};
use serde_json::{Value, json};

/// The names of a catalogue's deployment to an environment, or on a laptop. Functions come in the same order everywhere;
/// buckets are named without the account.
pub(crate) fn of(catalog: Arc<Catalog>, environment: Option<EnvironmentName>) -> Result<Value> {
    let deployment = match environment {
        Some(environment) => Deployment::in_aws(catalog, environment, None),
        None => Deployment::on_laptop(catalog),
    };
    let functions = deployment.catalog.all_functions().map(|function| {
        json!({
            "program": function.program(), "subject": function.subject(), "name": deployment.function(function),
            "log_group": deployment.log_group(function),
        })
    });
    let functions: Vec<Value> = functions.collect();
    let buckets = [Bucket::Ingestion, Bucket::Processed].map(|bucket| (bucket.name(), deployment.bucket(bucket)));
    let secrets = [Side::Source, Side::Warehouse].map(|side| (side.name(), deployment.secret(side)));
    Ok(json!({
        "prefix": deployment.prefix(),
        "functions": functions,
        "state_machine": deployment.state_machine(),
        "buckets": std::collections::BTreeMap::from(buckets),
        "secrets": std::collections::BTreeMap::from(secrets),
        "topic": deployment.topic(),
        "schedule": deployment.schedule(),
        "states": STATES,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_environment_has_every_name() {
        let text = "[pipeline]\nname = 'shop'\n[source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\n\
                    columns = { id = 'integer' }\n[dimensions.dim_staff]\nfrom = 'staff'\ncolumns = { id = 'id' }\n";
        let catalog = Arc::new(Catalog::parse("p", text).unwrap());
        let names = of(Arc::clone(&catalog), Some("dev".parse().unwrap())).unwrap();
        let functions: Vec<&str> =
            names["functions"].as_array().unwrap().iter().map(|function| function["name"].as_str().unwrap()).collect();
        expect![[r#"
            [
                "shop-dev-checkpoint",
                "shop-dev-plan",
                "shop-dev-extract-staff",
                "shop-dev-transform-dim_staff",
                "shop-dev-load",
                "shop-dev-halt",
            ]
        "#]]
        .assert_debug_eq(&functions);
        assert_eq!(names["state_machine"], "shop-dev-etl");
        assert_eq!(names["secrets"]["source"], "shop-dev/source");
        assert_eq!(of(catalog, None).unwrap()["functions"][2]["name"], "shop-extract-staff");
    }
}
