//! What a refusal of Postgres says: a real server is made to quote a row in every way that it has, and nothing of it is told.

use catalog::{Fault, Side};
use host::postgres::classify;
use sqlx::AssertSqlSafe;
use testbed::Testbed;

const SHOP: &str = "
    CREATE TYPE mood AS ENUM ('good');
    CREATE DOMAIN short AS text CHECK (length(VALUE) < 4);
    CREATE TABLE thing (id text PRIMARY KEY, price numeric(4,2) CONSTRAINT cheap CHECK (price < 10), needed text NOT NULL DEFAULT '',
                        code varchar(3), said short);
    CREATE TABLE part (thing text REFERENCES thing);
    INSERT INTO thing VALUES ('s3cret', 1, '', 'abc');
    CREATE FUNCTION raises(text, text) RETURNS text LANGUAGE plpgsql AS
      $$BEGIN RAISE EXCEPTION 'it is %', $1 USING ERRCODE = $2, CONSTRAINT = $1, TABLE = $1, DETAIL = $1, HINT = $1; END$$;
    CREATE FUNCTION asks(text) RETURNS text LANGUAGE plpgsql AS
      $$DECLARE found text; BEGIN EXECUTE format('SELECT %I', $1) INTO found; RETURN found; END$$;
    CREATE FUNCTION adds(text) RETURNS text LANGUAGE plpgsql AS
      $$BEGIN INSERT INTO public.thing VALUES ($1); RETURN ''; END$$";

/// Statements that the server refuses, the code and the names that are told of it.
const QUOTING: [(&str, &str); 18] = [
    ("SELECT id::integer FROM thing", "22P02 (invalid text representation)"),
    ("SELECT id::regclass FROM thing", "42P01 (undefined table)"),
    ("SELECT id::regtype FROM thing", "42704 (undefined object)"),
    ("SELECT id::mood FROM thing", "22P02 (invalid text representation)"),
    ("SELECT id::date FROM thing", "22007 (invalid datetime format)"),
    ("SELECT id::json FROM thing", "22P02 (invalid text representation)"),
    ("SELECT id::short FROM thing", "23514 (check violation), constraint short_check, type short"),
    ("SELECT date_trunc(id, now()) FROM thing", "0A000 (feature not supported)|22023 (invalid parameter value)"),
    ("SELECT current_setting(id) FROM thing", "42704 (undefined object)"),
    ("SELECT has_table_privilege(id, 'SELECT') FROM thing", "42P01 (undefined table)"),
    ("SELECT raises(id, 'P0001') FROM thing", "P0001 (raised exception), raised by a function of the database"),
    ("SELECT raises(id, '57014') FROM thing", "57014 (query canceled), raised by a function of the database"),
    ("SELECT asks(id) FROM thing", "42703 (undefined column), raised by a function of the database"),
    ("SELECT adds(id) FROM thing", "23505 (unique violation), table public.thing, constraint thing_pkey"),
    ("INSERT INTO thing SELECT id FROM thing", "23505 (unique violation), table public.thing, constraint thing_pkey"),
    (
        "INSERT INTO thing SELECT id || 1, 20 FROM thing",
        "23514 (check violation), table public.thing, constraint cheap",
    ),
    (
        "INSERT INTO thing SELECT id || 1, 1, NULL FROM thing",
        "23502 (not null violation), table public.thing, column needed",
    ),
    (
        "INSERT INTO part SELECT id || 1 FROM thing",
        "23503 (foreign key violation), table public.part, constraint part_thing_fkey",
    ),
];

#[tokio::test]
async fn no_row_is_told_whatever_the_server_quotes() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(SHOP).await;
    for (statement, told) in QUOTING {
        let refused =
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut bed.source).await.expect_err("it is refused");
        let report = classify(Side::Source, "cannot read thing", refused).report();
        assert!(!report.contains("s3cret"), "{statement}: {report}");
        let says = |told: &str| {
            report.starts_with(&format!("cannot read thing: {told}; the server's log has its words (to do: "))
        };
        assert!(told.split('|').any(says), "{statement}: {report}");
    }
    bed.end().await;
}

#[tokio::test]
async fn what_names_objects_alone_is_told_in_the_server_s_own_words() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does("CREATE TABLE thing (id integer)").await;
    for (statement, fault, told) in [
        ("SELECT * FROM nothing", Fault::SourceSchemaChanged, "relation \"nothing\" does not exist"),
        ("SELECT gone FROM thing", Fault::SourceSchemaChanged, "column \"gone\" does not exist"),
        ("SELECT * FROM pg_authid", Fault::SourceAccessDenied, "permission denied for table pg_authid"),
        (
            "SET statement_timeout = 20; SELECT pg_sleep(9)",
            Fault::SourceBusy,
            "canceling statement due to statement timeout",
        ),
        (
            "BEGIN READ ONLY; CREATE TABLE t ()",
            Fault::SourceRefused,
            "cannot execute CREATE TABLE in a read-only transaction",
        ),
    ] {
        let refused =
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut bed.source).await.expect_err("it is refused");
        let error = classify(Side::Source, "cannot read thing", refused);
        assert_eq!((error.fault(), error.to_string()), (fault, format!("cannot read thing: {told}")));
    }
    bed.end().await;
}
