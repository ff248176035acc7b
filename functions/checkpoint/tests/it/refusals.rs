//! What is refused before anything is read.

use catalog::Fault;
use serde_json::json;
use testbed::Testbed;

use crate::shop::{CATALOGUE, Shop, refusal};

#[tokio::test]
async fn an_input_that_is_not_understood_or_another_catalogue_is_refused_at_once() {
    let shop = Shop::empty().await;
    let mut request = shop.request();
    request.input = json!({ "full": "yes" });
    refusal(shop.handle(request).await, Fault::InputRefused);
    let mut request = shop.request();
    request.catalogue = "another".to_owned();
    let report = refusal(shop.handle(request).await, Fault::DeploymentInProgress);
    let here = shop.bed.catalog().fingerprint_of_all();
    let expected =
        format!("this function has another catalogue than the run: the catalogue is {here} here and another there");
    assert!(report.starts_with(&expected), "{report}");
    shop.close().await;
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let wrong = |secret: String| {
        let mut secret: serde_json::Value = serde_json::from_str(&secret).expect("it is JSON");
        secret["password"] = "wrong".into();
        secret.to_string()
    };
    let shop = Shop { bed: Testbed::with_warehouse_secret(CATALOGUE, wrong).await };
    shop.refuses(Fault::WarehouseAccessDenied, &["cannot connect to the warehouse", "password authentication failed"])
        .await;
    shop.close().await;
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused_with_every_difference() {
    let mut shop = Shop::loaded().await;
    shop.bed
        .warehouse_does("ALTER TABLE dim_staff DROP COLUMN name; ALTER TABLE fact_line ALTER seller TYPE bigint")
        .await;
    let words = ["dim_staff.name does not exist", "fact_line.seller is bigint where the catalogue says integer"];
    shop.refuses(Fault::WarehouseSchemaMismatch, &words).await;
    shop.close().await;
}

#[tokio::test]
async fn a_target_of_another_pipeline_is_refused_until_it_is_given_up() {
    let mut shop = Shop::loaded().await;
    shop.bed.warehouse_does("UPDATE etl.target SET pipeline = 'another' WHERE target = 'fact_line'").await;
    shop.refuses(Fault::WarehouseTargetTaken, &["fact_line belongs to the pipeline another"]).await;
    shop.bed.warehouse_does("DELETE FROM etl.target WHERE pipeline = 'another'").await;
    shop.looks().await;
    shop.close().await;
}

#[tokio::test]
async fn a_schema_that_does_not_exist_is_named() {
    let catalogue = CATALOGUE.replace("[dimensions", "[warehouse]\nschema = 'stars'\n[dimensions");
    let shop = Shop { bed: Testbed::new(&catalogue).await };
    shop.refuses(Fault::WarehouseSchemaMismatch, &["the schema stars does not exist in the warehouse"]).await;
    shop.close().await;
}
