//! What is refused before anything is read.

use catalog::{Fault, Side};
use serde_json::json;
use testbed::{Testbed, execute};

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
async fn a_database_that_does_not_exist_is_named_and_is_no_matter_of_rights() {
    let elsewhere = |secret: String| {
        let mut secret: serde_json::Value = serde_json::from_str(&secret).expect("it is JSON");
        secret["dbname"] = "nowhere".into();
        secret.to_string()
    };
    let shop = Shop { bed: Testbed::with_warehouse_secret(CATALOGUE, elsewhere).await };
    let words = [
        "database \"nowhere\" does not exist",
        "check the database's name in the secret with the warehouse credentials",
    ];
    shop.refuses(Fault::WarehouseNotFound, &words).await;
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

#[tokio::test]
async fn a_ledger_under_another_name_is_found_by_what_it_notes() {
    let mut shop = Shop::loaded().await;
    // Or the catalogue is given another name of it, which is the same.
    shop.bed.warehouse_does("ALTER SCHEMA etl RENAME TO \"the 'old' one\"").await;
    let cure = "fact_line belongs to the pipeline shop by the ledger in the schema the 'old' one, and [warehouse] ledger is etl: \
                set it back to the 'old' one, or rename the schema: ALTER SCHEMA \"the 'old' one\" RENAME TO \"etl\"";
    shop.refuses(Fault::WarehouseTargetTaken, &["dim_staff belongs to the pipeline shop", cure]).await;
    shop.bed.warehouse_does("ALTER SCHEMA \"the 'old' one\" RENAME TO etl").await;
    assert!(shop.looks().await.base.is_some(), "nothing is forgotten");
    shop.close().await;
}

#[tokio::test]
async fn a_target_that_another_ledger_notes_is_taken_unless_this_one_notes_it_too() {
    let mut shop = Shop::loaded().await;
    let theirs = "CREATE SCHEMA theirs; CREATE TABLE theirs.target (LIKE etl.target);
                  INSERT INTO theirs.target SELECT * FROM etl.target; UPDATE theirs.target SET pipeline = 'another'";
    shop.bed.warehouse_does(theirs).await;
    assert!(shop.looks().await.base.is_some(), "it is known whose they are");
    shop.bed.warehouse_does("DELETE FROM etl.target WHERE target = 'dim_staff'").await;
    let words = ["dim_staff belongs to the pipeline another by the ledger in the schema theirs (to do: "];
    let report = shop.refuses(Fault::WarehouseTargetTaken, &words).await;
    assert!(!report.contains("fact_line"), "{report}");
    shop.bed.warehouse_does("UPDATE theirs.target SET schema_name = 'elsewhere'").await;
    shop.looks().await;
    shop.bed.warehouse_does("UPDATE theirs.target SET schema_name = 'public'; DROP TABLE dim_staff CASCADE").await;
    assert_eq!(shop.rebuilds().await, ["dim_staff is not in the warehouse"], "what is gone is nobody's");
    shop.close().await;
}

#[tokio::test]
async fn a_schema_that_cannot_be_read_or_is_no_ledger_says_nothing() {
    let mut shop = Shop::loaded().await;
    shop.bed.warehouse_does("ALTER SCHEMA etl RENAME TO theirs").await;
    let mut owner = shop.bed.superuser(Side::Warehouse).await;
    for hidden in [
        "ALTER SCHEMA theirs OWNER TO CURRENT_USER",
        "GRANT USAGE ON SCHEMA theirs TO loader; ALTER TABLE theirs.target OWNER TO CURRENT_USER",
        "GRANT SELECT ON theirs.target TO loader; ALTER TABLE theirs.target ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE theirs.target DISABLE ROW LEVEL SECURITY, ALTER relation TYPE text",
    ] {
        execute(&mut owner, hidden).await;
        assert_eq!(shop.looks().await.base, None, "{hidden}");
    }
    execute(&mut owner, "ALTER TABLE theirs.target ALTER relation TYPE oid USING relation::oid").await;
    shop.refuses(Fault::WarehouseTargetTaken, &["in the schema theirs"]).await;
    shop.close().await;
}
