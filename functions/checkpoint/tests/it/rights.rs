//! A warehouse whose tables belong to another role: what the load lacks is named, and what it has suffices.

use catalog::{Fault, Side};
use sqlx::PgConnection;
use testbed::execute;

use crate::shop::{Shop, TABLES};

/// Everything that a load needs where the tables are there.
const RIGHTS: &str = "
    GRANT USAGE ON SCHEMA public, etl TO loader;
    GRANT SELECT, INSERT, UPDATE ON dim_staff, fact_line TO loader;
    GRANT USAGE ON SEQUENCE fact_line_version_seq TO loader;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA etl TO loader";

/// The warehouse of a client: the superuser owns everything, and the loader may do what it must.
async fn provisioned() -> (Shop, PgConnection) {
    let mut shop = Shop::empty().await;
    shop.bed.warehouse_does(TABLES).await;
    shop.notes("one").await;
    shop.bed.warehouse_does("DELETE FROM etl.batch; DELETE FROM etl.target").await;
    let mut owner = shop.bed.superuser(Side::Warehouse).await;
    let database = shop.bed.database(Side::Warehouse).replace('"', "\"\"");
    let owned = format!(
        "ALTER SCHEMA public OWNER TO CURRENT_USER; ALTER SCHEMA etl OWNER TO CURRENT_USER;
         ALTER TABLE dim_staff OWNER TO CURRENT_USER; ALTER TABLE fact_line OWNER TO CURRENT_USER;
         ALTER TABLE etl.batch OWNER TO CURRENT_USER; ALTER TABLE etl.target OWNER TO CURRENT_USER;
         ALTER TABLE etl.reject OWNER TO CURRENT_USER;
         ALTER DATABASE \"{database}\" OWNER TO CURRENT_USER;
         REVOKE ALL ON SCHEMA public FROM PUBLIC;
         REVOKE ALL ON SCHEMA public, etl FROM loader;
         REVOKE ALL ON ALL TABLES IN SCHEMA public, etl FROM loader;
         REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM loader"
    );
    execute(&mut owner, &owned).await;
    execute(&mut owner, RIGHTS).await;
    (shop, owner)
}

#[tokio::test]
async fn each_right_that_is_revoked_alone_is_named_with_what_gives_it() {
    let (shop, mut owner) = provisioned().await;
    shop.looks().await;
    let database = format!("\"{}\"", shop.bed.database(Side::Warehouse).replace('"', "\"\""));
    let tables = [("\"public\"", "dim_staff"), ("\"public\"", "fact_line")]
        .map(|table| (table, ["SELECT", "INSERT", "UPDATE"].as_slice()));
    let own = ["batch", "target", "reject"]
        .map(|table| (("\"etl\"", table), ["SELECT", "INSERT", "UPDATE", "DELETE"].as_slice()));
    let on_tables = tables.into_iter().chain(own).flat_map(|((schema, table), privileges)| {
        privileges.iter().map(move |privilege| ((*privilege).to_owned(), format!("TABLE {schema}.\"{table}\"")))
    });
    let others = [
        ("USAGE".to_owned(), "SCHEMA \"public\"".to_owned()),
        ("USAGE".to_owned(), "SCHEMA \"etl\"".to_owned()),
        ("USAGE".to_owned(), "SEQUENCE \"public\".\"fact_line_version_seq\"".to_owned()),
    ];
    for (privilege, object) in on_tables.chain(others) {
        execute(&mut owner, &format!("REVOKE {privilege} ON {object} FROM loader")).await;
        let grant = format!("GRANT {privilege} ON {object} TO \"loader\"");
        let report = shop.refuses(Fault::WarehouseAccessDenied, &[&grant]).await;
        assert_eq!(report.matches("GRANT ").count(), 1, "{report}");
        execute(&mut owner, &grant).await;
        shop.looks().await;
    }
    execute(&mut owner, &format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")).await;
    let grant = format!("GRANT TEMPORARY ON DATABASE {database} TO \"loader\"");
    shop.refuses(Fault::WarehouseAccessDenied, &[&grant]).await;
    execute(&mut owner, &grant).await;
    shop.looks().await;
    shop.close().await;
}

#[tokio::test]
async fn to_create_is_asked_only_where_something_is_missing() {
    let (shop, mut owner) = provisioned().await;
    let database = format!("\"{}\"", shop.bed.database(Side::Warehouse).replace('"', "\"\""));
    for (harm, grant) in [
        ("DROP TABLE fact_line", "GRANT CREATE ON SCHEMA \"public\" TO \"loader\"".to_owned()),
        ("DROP TABLE etl.target", "GRANT CREATE ON SCHEMA \"etl\" TO \"loader\"".to_owned()),
        ("DROP SCHEMA etl CASCADE", format!("GRANT CREATE ON DATABASE {database} TO \"loader\"")),
    ] {
        execute(&mut owner, harm).await;
        let report = shop.refuses(Fault::WarehouseAccessDenied, &[&grant]).await;
        assert_eq!(report.matches("GRANT ").count(), 1, "{report}");
        execute(&mut owner, &grant).await;
        shop.looks().await;
    }
    shop.close().await;
}

#[tokio::test]
async fn all_that_is_missing_is_told_at_once() {
    let (shop, mut owner) = provisioned().await;
    execute(&mut owner, "REVOKE ALL ON dim_staff FROM loader; REVOKE UPDATE, DELETE ON etl.reject FROM loader").await;
    let grants = "GRANT DELETE, UPDATE ON TABLE \"etl\".\"reject\" TO \"loader\"; \
                  GRANT INSERT, SELECT, UPDATE ON TABLE \"public\".\"dim_staff\" TO \"loader\" (to do: ";
    shop.refuses(Fault::WarehouseAccessDenied, &[grants]).await;
    shop.close().await;
}

#[tokio::test]
async fn a_dimension_of_another_owner_without_its_key_is_of_another_shape() {
    let (shop, mut owner) = provisioned().await;
    execute(&mut owner, "ALTER TABLE dim_staff DROP CONSTRAINT dim_staff_pkey CASCADE").await;
    shop.refuses(Fault::WarehouseSchemaMismatch, &["dim_staff has no unique index over its key (id)"]).await;
    shop.close().await;
}

#[tokio::test]
async fn a_ledger_of_version_1_that_belongs_to_another_role_has_to_change_hands() {
    let (shop, mut owner) = provisioned().await;
    let old = "DROP TABLE etl.target; ALTER TABLE etl.batch ADD COLUMN state jsonb";
    execute(&mut owner, &format!("{old}; GRANT CREATE ON SCHEMA etl TO loader")).await;
    let words =
        ["ALTER TABLE \"etl\".\"batch\" OWNER TO \"loader\"; ALTER TABLE \"etl\".\"reject\" OWNER TO \"loader\""];
    shop.refuses(Fault::WarehouseAccessDenied, &words).await;
    execute(&mut owner, words[0]).await;
    shop.looks().await;
    shop.close().await;
}
