//! The server that is read is the one that was planned for, and has come so far (R1); the batch has one catalogue and one
//! plan.

use catalog::message::{ExtractRequest, Read};
use catalog::{Fault, Horizon};
use testbed::Testbed;

use crate::{bed, extract, host_of, manifest, request, since, whole};

/// What an extraction is refused with, when its request is altered so.
async fn refused(bed: &Testbed, alter: impl FnOnce(&mut ExtractRequest)) -> catalog::Error {
    let host = host_of(bed).await;
    let mut request = request(&host, "first", whole()).await;
    alter(&mut request);
    extract::handle(request, &host).await.expect_err("it is refused")
}

#[tokio::test]
async fn another_server_a_restarted_one_and_one_that_lags_are_not_read() {
    let bed = bed().await;
    let fault = async |alter: fn(&mut ExtractRequest)| refused(&bed, alter).await.fault();
    fn source(request: &mut ExtractRequest) -> &mut catalog::message::SourceAt {
        request.source.as_mut().expect("it reads")
    }
    assert_eq!(fault(|request| source(request).identity.system.push('1')).await, Fault::SourceReplaced);
    assert_eq!(fault(|request| source(request).identity.database += 1).await, Fault::SourceReplaced);
    assert_eq!(fault(|request| source(request).identity.timeline += 1).await, Fault::SourceRestarted);
    let crashed = |request: &mut ExtractRequest| source(request).identity.began = Some("yesterday".to_owned());
    assert_eq!(fault(crashed).await, Fault::SourceRestarted);
    assert_eq!(fault(|request| source(request).horizon = Horizon::new(1 << 40)).await, Fault::SourceBusy);
    // Planned on a replica, which does not tell when it began.
    let host = host_of(&bed).await;
    let mut request = request(&host, "first", whole()).await;
    source(&mut request).identity.began = None;
    extract::handle(request, &host).await.expect("it is read");
    bed.end().await;
}

#[tokio::test]
async fn another_catalogue_than_the_plan_s_reads_nothing() {
    let bed = bed().await;
    let error = refused(&bed, |request| request.plan.definition = "another".to_owned()).await;
    assert_eq!(error.fault(), Fault::DeploymentInProgress);
    assert!(error.to_string().contains("Thing's is"), "{error}");
    bed.end().await;
}

#[tokio::test]
async fn what_was_read_first_decides_what_is_known_of_the_table() {
    let mut bed = bed().await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (1, 'one')"#).await;
    let host = host_of(&bed).await;
    let read = since(Horizon::new(3));
    extract(&host, "first", read.clone()).await.expect("it is read");
    // The same batch planned again, later: what the first extraction did not see must not count as read.
    let mut later = request(&host, "first", read).await;
    let state = later.plan.state.as_mut().expect("it reads");
    state.horizon = Horizon::new(1_000_000);
    let answer = extract::handle(later, &host).await.expect("it is answered");
    assert_eq!(answer.state.expect("it is read").horizon, Horizon::START);
    let window = manifest(&host, "first").await.window;
    assert!(window.from == Horizon::START && window.until > Horizon::START);
    // Planned for other rows it is none of this plan's.
    let error = extract(&host, "first", whole()).await.expect_err("it is refused");
    assert_eq!(error.fault(), Fault::LakeCorrupt);
    assert!(error.to_string().contains("was made for another plan"), "{error}");
    assert_ne!(whole().read, Read::Nothing);
    bed.end().await;
}

#[tokio::test]
async fn a_policy_that_would_hide_rows_is_an_error_that_names_the_table() {
    let mut bed = bed().await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (1, 'one'), (2, 'two')"#).await;
    bed.source_does(
        r#"ALTER TABLE "Thing's" ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON "Thing's" USING (id = 1)"#,
    )
    .await;
    let error = extract(&host_of(&bed).await, "first", whole()).await.expect_err("it is refused");
    assert_eq!(error.fault(), Fault::SourceAccessDenied);
    assert!(error.to_string().contains("row-level security policy for table \"Thing's\""), "{error}");
    bed.end().await;
}
