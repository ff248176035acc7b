//! An analyst who may create in the warehouse's schema, and made the target before the first load did.

use catalog::{Fault, Side};
use testbed::execute;

use crate::shop::{Shop, brings};

/// What notes as whom it runs. Only what calls nothing volatile by its own word may stand in an index.
const NOTING: &str = "
    GRANT CREATE, USAGE ON SCHEMA public TO reader;
    CREATE SCHEMA mine AUTHORIZATION reader;
    SET SESSION AUTHORIZATION reader;
    GRANT USAGE ON SCHEMA mine TO PUBLIC;
    CREATE TABLE mine.ran (role text);
    GRANT INSERT, SELECT ON mine.ran TO PUBLIC;
    CREATE FUNCTION mine.noting() RETURNS boolean LANGUAGE sql VOLATILE
        AS 'INSERT INTO mine.ran VALUES (current_user) RETURNING true';
    CREATE FUNCTION mine.calm(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM mine.noting(); RETURN $1; END';
    CREATE FUNCTION mine.fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM mine.noting(); RETURN new; END';
    RESET SESSION AUTHORIZATION";

/// The target as the analyst makes it.
const WAYS: [(&str, &str); 7] = [
    ("trigger", "CREATE TRIGGER fires BEFORE INSERT ON dim_staff FOR EACH ROW EXECUTE FUNCTION mine.fired()"),
    ("rule", "CREATE RULE also AS ON INSERT TO dim_staff DO ALSO SELECT mine.noting()"),
    ("default", "ALTER TABLE dim_staff ADD more boolean DEFAULT mine.noting()"),
    ("check", "ALTER TABLE dim_staff ADD CHECK (mine.noting())"),
    ("index", "CREATE INDEX peeps ON dim_staff (mine.calm(id))"),
    ("generated", "ALTER TABLE dim_staff ADD more integer GENERATED ALWAYS AS (mine.calm(id)) STORED"),
    ("domain", "CREATE DOMAIN mine.any AS integer CHECK (mine.noting()); ALTER TABLE dim_staff ADD more mine.any"),
];

#[tokio::test]
async fn no_code_of_who_made_a_target_first_runs_with_the_loaders_rights() {
    let mut shop = Shop::open().await;
    let mut server = shop.bed.superuser(Side::Warehouse).await;
    execute(&mut server, NOTING).await;
    for (name, way) in WAYS {
        let made = format!(
            "SET SESSION AUTHORIZATION reader; CREATE TABLE public.dim_staff (id integer PRIMARY KEY, name varchar);
             GRANT ALL ON dim_staff TO loader; {way}; DELETE FROM mine.ran; RESET SESSION AUTHORIZATION"
        );
        execute(&mut server, &made).await;
        let request = shop.batch(name, &[brings("dim_staff", &["1|Ada"])]).await;
        let refused = shop.handle(&request).await;
        assert_eq!(shop.ask("SELECT string_agg(role, ' ') FROM mine.ran").await, "NULL", "{way}");
        let error = refused.expect_err(way);
        assert_eq!(error.fault(), Fault::WarehouseUntrusted, "{}", error.report());
        let cure = "public.dim_staff belongs to reader, whose code on it would run with the rights of loader";
        assert!(error.report().contains(cure), "{}", error.report());
        execute(&mut server, "DROP TABLE dim_staff CASCADE").await;
    }
    shop.load("made", &[brings("dim_staff", &["1|Ada"])]).await;
    shop.close().await;
}
