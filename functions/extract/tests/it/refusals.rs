//! What the source refuses, by its name and with what to do.

use catalog::{Fault, Side};
use sqlx::Connection as _;
use testbed::Testbed;

use crate::{CATALOGUE, bed, extract, host_of, request, whole};

#[tokio::test]
async fn a_locked_table_is_busy() {
    let bed = bed().await;
    let holder = bed.hold(Side::Source, r#"LOCK TABLE "Thing's""#).await;
    let host = host_of(&bed).await;
    let error = extract(&host, "first", whole()).await.expect_err("it is locked");
    assert_eq!(error.fault(), Fault::SourceBusy);
    let report = error.report();
    assert!(
        report.starts_with("extract Thing's: cannot read Thing's: canceling statement due to lock timeout"),
        "{report}"
    );
    holder.close().await.expect("a connection closes");
    extract(&host, "first", whole()).await.expect("nothing of the failed try is in the way");
    bed.end().await;
}

#[tokio::test]
async fn a_table_that_may_not_be_selected_from_is_denied() {
    let mut bed = bed().await;
    bed.source_does(&format!(r#"REVOKE SELECT ON "Thing's" FROM PUBLIC, {}"#, local::READER)).await;
    let host = host_of(&bed).await;
    let error = extract(&host, "first", whole()).await.expect_err("it is not granted");
    assert_eq!(error.fault(), Fault::SourceAccessDenied);
    assert!(error.report().contains("permission denied for table Thing's"), "{}", error.report());
    bed.end().await;
}

#[tokio::test]
async fn a_table_that_went_after_the_plan_changed_its_shape() {
    let bed = Testbed::new(CATALOGUE).await;
    let host = host_of(&bed).await;
    let error = extract(&host, "first", whole()).await.expect_err("it does not exist");
    assert_eq!(error.fault(), Fault::SourceSchemaChanged);
    bed.end().await;
}

#[tokio::test]
async fn a_table_that_this_function_does_not_know_is_of_another_deployment() {
    let bed = bed().await;
    let host = host_of(&bed).await;
    let mut request = request(&host, "first", whole()).await;
    request.table = catalog::Ident::new("other").expect("a name");
    let error = extract::handle(request, &host).await.expect_err("there is no such table");
    assert_eq!(error.to_string(), "the catalogue of this function has no table other");
    assert_eq!(error.fault(), Fault::DeploymentInProgress);
    bed.end().await;
}
