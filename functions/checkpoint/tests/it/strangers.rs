//! What would run somebody else's code with the loader's rights: it is refused by name, before anything of it is read, and
//! each statement that is printed puts it right.

use catalog::{Fault, Side};
use ledger::trust;
use sqlx::PgConnection;
use testbed::{ask, execute};

use crate::shop::Shop;

/// Functions of an analyst. What stands in an index calls nothing volatile by its own word.
const THEIRS: &str = "
    CREATE SCHEMA mine AUTHORIZATION reader;
    SET SESSION AUTHORIZATION reader;
    GRANT USAGE ON SCHEMA mine TO PUBLIC;
    CREATE TABLE mine.ran (role text);
    GRANT INSERT, SELECT ON mine.ran TO PUBLIC;
    CREATE FUNCTION mine.noting() RETURNS boolean LANGUAGE sql VOLATILE
        AS 'INSERT INTO mine.ran VALUES (current_user) RETURNING true';
    CREATE FUNCTION mine.calm(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM mine.noting(); RETURN $1; END';
    CREATE FUNCTION mine.fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE FUNCTION mine.alike(integer, integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
    CREATE OPERATOR mine.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = mine.alike);
    CREATE DOMAIN mine.odd AS integer;
    CREATE TYPE mine.pair AS (one mine.odd);
    RESET SESSION AUTHORIZATION;
    CREATE DOMAIN public.even AS integer CHECK (value IS NULL OR mine.calm(value) > 0)";

/// What the owner of the tables does, what is said of it, the statement that takes it away where one is printed, and the one
/// that gives the code to the loader.
const WAYS: [(&str, &str, Option<&str>, &str); 19] = [
    (
        "CREATE TABLE mine.notes (staff integer REFERENCES dim_staff ON DELETE CASCADE); ALTER TABLE mine.notes OWNER TO reader",
        "table constraint notes_staff_fkey on mine.notes uses the triggers of mine.notes",
        Some("ALTER TABLE mine.notes DROP CONSTRAINT notes_staff_fkey"),
        "ALTER TABLE mine.notes OWNER TO loader",
    ),
    (
        "CREATE TRIGGER \"f i\" BEFORE INSERT ON dim_staff FOR EACH ROW EXECUTE FUNCTION mine.fired()",
        "trigger \"f i\" on public.dim_staff uses function mine.fired()",
        Some("DROP TRIGGER \"f i\" ON public.dim_staff"),
        "ALTER ROUTINE mine.fired() OWNER TO loader",
    ),
    (
        "CREATE TRIGGER own BEFORE INSERT ON fact_line FOR EACH ROW WHEN (mine.calm(1) > 0) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger own on public.fact_line uses function mine.calm(integer)",
        Some("DROP TRIGGER own ON public.fact_line"),
        "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
    ),
    (
        "CREATE RULE also AS ON INSERT TO dim_staff DO ALSO SELECT mine.noting()",
        "rule also on public.dim_staff uses function mine.noting()",
        Some("DROP RULE also ON public.dim_staff"),
        "ALTER ROUTINE mine.noting() OWNER TO loader",
    ),
    (
        "CREATE POLICY seen ON dim_staff USING (mine.noting())",
        "policy seen on public.dim_staff uses function mine.noting()",
        Some("DROP POLICY seen ON public.dim_staff"),
        "ALTER ROUTINE mine.noting() OWNER TO loader",
    ),
    (
        "ALTER TABLE dim_staff ALTER name SET DEFAULT mine.noting()::text",
        "default value for public.dim_staff.name uses function mine.noting()",
        Some("ALTER TABLE public.dim_staff ALTER name DROP DEFAULT"),
        "ALTER ROUTINE mine.noting() OWNER TO loader",
    ),
    (
        "ALTER TABLE fact_line ADD twice integer GENERATED ALWAYS AS (mine.calm(number)) STORED",
        "default value for public.fact_line.twice uses function mine.calm(integer)",
        Some("ALTER TABLE public.fact_line ALTER twice DROP EXPRESSION"),
        "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
    ),
    (
        "ALTER TABLE etl.batch ADD CONSTRAINT held CHECK (mine.noting())",
        "table constraint held on etl.batch uses function mine.noting()",
        Some("ALTER TABLE etl.batch DROP CONSTRAINT held"),
        "ALTER ROUTINE mine.noting() OWNER TO loader",
    ),
    (
        "ALTER TABLE fact_line ADD CONSTRAINT alike CHECK (number OPERATOR(mine.===) 1)",
        "table constraint alike on public.fact_line uses function mine.alike(integer,integer)",
        Some("ALTER TABLE public.fact_line DROP CONSTRAINT alike"),
        "ALTER ROUTINE mine.alike(integer,integer) OWNER TO loader",
    ),
    (
        "CREATE INDEX made ON dim_staff (mine.calm(id))",
        "index public.made uses function mine.calm(integer)",
        Some("DROP INDEX public.made"),
        "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
    ),
    (
        "CREATE INDEX partly ON dim_staff (name) WHERE mine.calm(id) > 0",
        "index public.partly uses function mine.calm(integer)",
        Some("DROP INDEX public.partly"),
        "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
    ),
    (
        "ALTER TABLE dim_staff ADD CONSTRAINT apart EXCLUDE (mine.calm(id) WITH =)",
        "index public.apart uses function mine.calm(integer)",
        Some("ALTER TABLE public.dim_staff DROP CONSTRAINT apart"),
        "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
    ),
    (
        "ALTER TABLE dim_staff ADD more public.even",
        "table public.dim_staff uses function mine.calm(integer)",
        None,
        "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
    ),
    (
        "ALTER TABLE dim_staff ADD more mine.odd",
        "table public.dim_staff uses type mine.odd",
        None,
        "ALTER TYPE mine.odd OWNER TO loader",
    ),
    (
        "ALTER TABLE dim_staff ADD more mine.odd[]",
        "table public.dim_staff uses type mine.odd",
        None,
        "ALTER TYPE mine.odd OWNER TO loader",
    ),
    (
        "ALTER TYPE mine.pair OWNER TO loader; ALTER TABLE dim_staff ADD more mine.pair",
        "table public.dim_staff uses type mine.odd",
        None,
        "ALTER TYPE mine.odd OWNER TO loader",
    ),
    (
        "CREATE TABLE heir () INHERITS (fact_line);
         CREATE TRIGGER fires BEFORE UPDATE ON heir FOR EACH ROW EXECUTE FUNCTION mine.fired()",
        "trigger fires on public.heir uses function mine.fired()",
        Some("DROP TRIGGER fires ON public.heir"),
        "ALTER ROUTINE mine.fired() OWNER TO loader",
    ),
    (
        "CREATE TABLE elder (id integer NOT NULL, name varchar); ALTER TABLE dim_staff INHERIT elder;
         CREATE RULE also AS ON INSERT TO elder DO ALSO SELECT mine.noting()",
        "rule also on public.elder uses function mine.noting()",
        Some("DROP RULE also ON public.elder"),
        "ALTER ROUTINE mine.noting() OWNER TO loader",
    ),
    (
        "ALTER TABLE dim_staff RENAME TO part;
         CREATE TABLE dim_staff (LIKE part INCLUDING CONSTRAINTS, PRIMARY KEY (id)) PARTITION BY RANGE (id);
         ALTER TABLE dim_staff ATTACH PARTITION part DEFAULT;
         CREATE TRIGGER fires AFTER INSERT ON dim_staff FOR EACH ROW EXECUTE FUNCTION mine.fired()",
        "trigger fires on public.dim_staff uses function mine.fired()",
        Some("DROP TRIGGER fires ON public.dim_staff"),
        "ALTER ROUTINE mine.fired() OWNER TO loader",
    ),
];

/// The same from PostgreSQL 14 on, which is the first that has it.
const STATISTICS: (&str, &str, Option<&str>, &str) = (
    "CREATE STATISTICS kept ON (mine.calm(id)) FROM dim_staff",
    "statistics object public.kept uses function mine.calm(integer)",
    Some("DROP STATISTICS public.kept"),
    "ALTER ROUTINE mine.calm(integer) OWNER TO loader",
);

/// A warehouse that is loaded, and a superuser in it.
async fn provided() -> (Shop, PgConnection) {
    let shop = Shop::loaded().await;
    let mut server = shop.bed.superuser(Side::Warehouse).await;
    execute(&mut server, THEIRS).await;
    (shop, server)
}

/// What the loader would be told in the transaction that is open.
async fn strangers_to_the_loader(shop: &Shop, server: &mut PgConnection) -> Vec<String> {
    execute(server, "SET LOCAL ROLE loader; SET LOCAL jit = off; SET LOCAL search_path = pg_catalog, pg_temp").await;
    let found = trust::strangers(server, shop.bed.catalog()).await.expect("it answers");
    execute(server, "SET LOCAL ROLE NONE; SET LOCAL search_path = public").await;
    found
}

#[tokio::test]
async fn each_way_to_have_code_run_is_named_with_statements_that_put_it_right() {
    let (shop, mut server) = provided().await;
    let has_statistics =
        ask(&mut server, "SELECT current_setting('server_version_num')::int >= 140000").await == "true";
    for (way, what, removal, giving) in WAYS.into_iter().chain(has_statistics.then_some(STATISTICS)) {
        for cure in removal.into_iter().chain([giving]) {
            // What a superuser makes here is trusted, and needs no statement that undoes it.
            execute(&mut server, &format!("BEGIN; {way}")).await;
            let found = strangers_to_the_loader(&shop, &mut server).await;
            let [found] = &found[..] else { panic!("{way}: {found:#?}") };
            let told = format!("{what}, which belongs to reader and would run with the rights of loader: ");
            assert!(found.starts_with(&told) && found.ends_with(giving), "{found}");
            assert_eq!(found.contains("; or, if it is wanted, "), removal.is_some(), "{found}");
            assert!(removal.is_none_or(|removal| found.contains(removal)), "{found}");
            execute(&mut server, cure).await;
            let rest = strangers_to_the_loader(&shop, &mut server).await;
            assert!(rest.is_empty(), "{cure}: {rest:#?}");
            execute(&mut server, "ROLLBACK").await;
        }
    }
    let (way, what, removal, giving) = WAYS[0];
    execute(&mut server, way).await;
    let told = format!(
        "{what}, which belongs to reader and would run with the rights of loader: {}; or, if it is wanted, {giving} (to do: ",
        removal.expect("it has one")
    );
    shop.refuses(Fault::WarehouseUntrusted, &[&told]).await;
    execute(&mut server, giving).await;
    assert!(shop.looks().await.base.is_some(), "nothing is forgotten");
    shop.close().await;
}

#[tokio::test]
async fn a_table_of_the_ledger_that_an_analyst_replaced_is_not_read() {
    let (shop, mut server) = provided().await;
    let swapped = "ALTER TABLE etl.batch SET SCHEMA mine; ALTER SCHEMA etl OWNER TO reader; SET SESSION AUTHORIZATION reader;
                   CREATE VIEW etl.batch AS SELECT pipeline, number, batch, started, base, committed_at, source, state_key, result
                     FROM (VALUES ('shop', 1::bigint, 'x', now(), NULL, now(), NULL::jsonb, NULL, '{}'::jsonb))
                          AS v (pipeline, number, batch, started, base, committed_at, source, state_key, result) WHERE mine.noting();
                   GRANT USAGE ON SCHEMA etl TO loader; GRANT ALL ON etl.batch TO loader; RESET SESSION AUTHORIZATION";
    execute(&mut server, swapped).await;
    shop.refuses(Fault::WarehouseUntrusted, &["etl.batch belongs to reader"]).await;
    assert_eq!(ask(&mut server, "SELECT string_agg(role, ' ') FROM mine.ran").await, "NULL");
    shop.close().await;
}

#[tokio::test]
async fn a_ledger_elsewhere_of_who_is_not_trusted_is_not_read() {
    let (shop, mut server) = provided().await;
    // The planner calculates what is constant in an index, whoever asks for a row.
    let theirs = "SET SESSION AUTHORIZATION reader;
                  CREATE TABLE mine.target (schema_name text, target text, pipeline text, relation oid, file bigint, rows bigint, batch text);
                  GRANT SELECT ON mine.target TO PUBLIC; INSERT INTO mine.target VALUES ('public', 'dim_staff', 'theirs');
                  CREATE INDEX ON mine.target (mine.calm(7)); DELETE FROM mine.ran; RESET SESSION AUTHORIZATION;
                  DELETE FROM etl.target WHERE target = 'dim_staff'";
    execute(&mut server, theirs).await;
    let answer = shop.handle(shop.request()).await;
    assert_eq!(ask(&mut server, "SELECT string_agg(role, ' ') FROM mine.ran").await, "NULL");
    answer.expect("what it says of a target counts for nothing");
    shop.close().await;
}

#[tokio::test]
async fn tables_of_who_can_do_everything_already_are_trusted_and_no_others() {
    let (shop, mut server) = provided().await;
    let database = format!("\"{}\"", shop.bed.database(Side::Warehouse).replace('"', "\"\""));
    let group = database.replace("warehouse", "group");
    execute(&mut server, &format!("DROP ROLE IF EXISTS {group}; CREATE ROLE {group}")).await;
    let cure = "whose code on it would run with the rights of loader: if what is on it is wanted, ALTER TABLE";
    for table in ["public.dim_staff", "etl.reject"] {
        execute(&mut server, &format!("ALTER TABLE {table} OWNER TO reader; GRANT ALL ON {table} TO loader")).await;
        let told = format!("{table} belongs to reader, {cure} {table} OWNER TO loader; else drop it (to do: ");
        shop.refuses(Fault::WarehouseUntrusted, &[&told]).await;
        let trusted = [
            ("CURRENT_USER".to_owned(), "SELECT 1".to_owned()),
            ("application".to_owned(), format!("ALTER DATABASE {database} OWNER TO application")),
            (group.clone(), format!("ALTER DATABASE {database} OWNER TO loader; GRANT {group} TO loader")),
        ];
        for (owner, because) in trusted {
            execute(&mut server, &format!("ALTER TABLE {table} OWNER TO {owner}; {because}")).await;
            shop.looks().await;
        }
        execute(&mut server, &format!("REVOKE {group} FROM loader")).await;
        shop.refuses(Fault::WarehouseUntrusted, &[&format!("{table} belongs to ")]).await;
        execute(&mut server, &format!("ALTER TABLE {table} OWNER TO loader")).await;
        shop.looks().await;
    }
    // Who inherits from a target, or is inherited from, has code run too.
    let kin = "CREATE TABLE heir () INHERITS (fact_line); ALTER TABLE heir OWNER TO reader;
               CREATE TABLE elder (id integer NOT NULL); ALTER TABLE dim_staff INHERIT elder; ALTER TABLE elder OWNER TO application";
    execute(&mut server, kin).await;
    let words = ["public.elder belongs to application, ", "public.heir belongs to reader, "];
    shop.refuses(Fault::WarehouseUntrusted, &words).await;
    execute(&mut server, &format!("DROP ROLE {group}")).await;
    // A superuser has every role's rights, and trusts not every role.
    let found = trust::strangers(&mut server, shop.bed.catalog()).await.expect("it answers");
    assert_eq!(found.len(), 2, "{found:#?}");
    shop.close().await;
}

#[tokio::test]
async fn what_a_trusted_role_put_on_a_target_passes() {
    let (shop, mut server) = provided().await;
    let audit = "CREATE TABLE audit (name text); GRANT INSERT ON audit TO loader;
                 CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS
                     'BEGIN INSERT INTO public.audit VALUES (new.name); RETURN new; END';
                 CREATE TRIGGER audits AFTER INSERT OR UPDATE ON dim_staff FOR EACH ROW EXECUTE FUNCTION audited();
                 CREATE DOMAIN positive AS integer CHECK (value > 0); ALTER TABLE dim_staff ADD more positive;
                 CREATE INDEX ON dim_staff (lower(name)) WHERE id > 0";
    execute(&mut server, audit).await;
    shop.looks().await;
    execute(&mut server, "ALTER FUNCTION audited() OWNER TO reader").await;
    shop.refuses(Fault::WarehouseUntrusted, &["trigger audits on public.dim_staff uses function public.audited()"])
        .await;
    shop.close().await;
}

#[tokio::test]
async fn of_many_the_first_are_told_and_how_many_more() {
    let (shop, mut server) = provided().await;
    for number in 0..25 {
        let child =
            format!("CREATE TABLE heir{number} () INHERITS (fact_line); ALTER TABLE heir{number} OWNER TO reader");
        execute(&mut server, &child).await;
    }
    let report = shop.refuses(Fault::WarehouseUntrusted, &["; and 5 more (to do: "]).await;
    assert_eq!(report.matches(" belongs to ").count(), 20, "{report}");
    shop.close().await;
}
