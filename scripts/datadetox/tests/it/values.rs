//! Every type there and back, other catalogues than the shipped one, views, and reads in slices (R8, R10).

use asl::Status;

use crate::world::World;

/// A catalogue of one table as both a dimension and a fact.
fn catalogue(source: &str, target: &str) -> String {
    format!(
        "[pipeline]\nname = 'types'\n[source]\nslice_rows = 40\n[source.tables.thing]\nkey = 'id'\ncapture = 'changes'\n\
         {source}\n[facts.fact_thing]\nfrom = 'thing'\nsurrogate_key = 'n'\n{target}\n"
    )
}

const COLUMNS: [(&str, &str); 16] = [
    ("id", "integer"),
    ("a_small", "smallint"),
    ("a_big", "bigint"),
    ("a_money", "numeric(10,2)"),
    ("a_wide", "numeric(38,10)"),
    ("a_real", "real"),
    ("a_double", "double precision"),
    ("a_bool", "boolean"),
    ("a_text", "text"),
    ("a_date", "date"),
    ("a_time", "time"),
    ("a_stamp", "timestamp"),
    ("a_zoned", "timestamptz"),
    ("a_uuid", "uuid"),
    ("a_json", "jsonb"),
    ("A \"quoted\" näme", "text"),
];

/// The table in the source.
const TABLE: &str = r#"
    CREATE TABLE thing (id integer PRIMARY KEY, a_small smallint, a_big bigint, a_money numeric(10,2), a_wide numeric(38,10),
                        a_real real, a_double double precision, a_bool boolean, a_text text, a_date date, a_time time,
                        a_stamp timestamp, a_zoned timestamptz, a_uuid uuid, a_json jsonb, "A ""quoted"" näme" text);
"#;

/// Its 195 rows, edges and nulls among them, made by Postgres.
const ROWS: &str = r#"
    SELECT setseed(0.5);
    INSERT INTO thing
    SELECT i, (random() * 65535 - 32768)::int::smallint, ((random() - 0.5) * 1.8e19)::numeric::bigint,
           ((random() - 0.5) * 199999999)::numeric(10,2), ((random() - 0.5) * 1e27)::numeric(38,10) + i / 10000000000.0,
           (random() * 10 ^ (i % 70 - 35))::real, (random() - 0.5) * 10 ^ (i % 600 - 300), random() < 0.5,
           repeat(chr(32 + i), i % 7) || E'\n"' || i, date '0001-01-01' + (random() * 3652058)::int,
           time '00:00' + random() * interval '24 hours', timestamp '0001-01-01' + random() * interval '9998 years',
           timestamptz '0001-01-02 00:00+00' + random() * interval '9998 years', gen_random_uuid(),
           jsonb_build_object('i', i, 't', chr(200 + i), 'n', NULL), CASE WHEN i % 2 = 0 THEN 'x' || i END
      FROM generate_series(1, 190) AS i;
    INSERT INTO thing VALUES
        (1001, -32768, -9223372036854775808, -99999999.99, -9999999999999999999999999999.9999999999, '-Infinity', '-Infinity', false,
         '', '0001-01-01', '00:00', '0001-01-01', '0001-01-01 00:00+00', '00000000-0000-0000-0000-000000000000', 'null', ''),
        (1002, 32767, 9223372036854775807, 99999999.99, 9999999999999999999999999999.9999999999, 'Infinity', 'Infinity', true,
         'NULL', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00',
         'ffffffff-ffff-ffff-ffff-ffffffffffff', '"text"', 'NULL'),
        (1003, 0, 0, 0.00, 0, 'NaN', 'NaN', true, '\N', '1969-12-31', '12:00:00.001', '1969-12-31 23:59:59.999999',
         '1969-12-31 23:59:59.999999+00', '00000000-0000-0000-0000-000000000001', '[]', '\N'),
        (1004, 0, 0, 0.10, 0.1, -0.0, -0.0, true, 'e', '2024-02-29', '01:02:03.04', '2024-02-29 10:00:00.19',
         '2024-02-29 10:00:00.19+05:30', '00000000-0000-0000-0000-000000000002', '{}', 'é');
    INSERT INTO thing (id) VALUES (1005);
"#;

/// All values as text, in the order of the key; floats with every digit.
const VALUES: &str = r#"SELECT md5(string_agg(concat_ws('|', id, a_small, a_big, a_money, a_wide, a_real, a_double, a_bool,
    coalesce('=' || a_text, '-'), a_date, a_time, a_stamp, a_zoned AT TIME ZONE 'UTC', a_uuid, coalesce(a_json::text, '-'),
    coalesce('=' || "A ""quoted"" näme", '-')), E'\n' ORDER BY id)) FROM "#;

/// A stack whose source holds an empty table of all types.
pub(crate) async fn world_of_types(extra: &str) -> World {
    let declared = |(name, kind): &(&str, &str)| {
        let null = if *name == "id" { "" } else { " null" };
        format!("'{name}' = '{kind}{null}'")
    };
    let source: Vec<String> = COLUMNS.iter().map(declared).collect();
    let target: Vec<String> = COLUMNS.iter().map(|(name, _)| format!("'{name}' = '{name}'")).collect();
    let source = format!("{extra}\n[source.tables.thing.columns]\n{}", source.join("\n"));
    let target = format!("[facts.fact_thing.columns]\n{}", target.join("\n"));
    let mut world = World::empty(|_| catalogue(&source, &target)).await;
    world.application(TABLE).await;
    world
}

#[tokio::test]
async fn every_type_comes_back_as_it_was() {
    let mut world = world_of_types("").await;
    world.application(ROWS).await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_thing"), [195, 0, 0, 0, 0]);
    let expected = world.source_value(&format!("{VALUES} thing")).await;
    assert_eq!(world.warehouse(&format!("{VALUES} fact_thing")).await, expected);
    let again = world.run_with(serde_json::json!({ "full": true })).await;
    assert_eq!((again.status, again.changed()), (Status::Succeeded, Vec::new()));
    world.stop().await;
}

#[tokio::test]
async fn a_long_read_is_cut_into_slices_and_goes_on_where_it_stopped() {
    // Four seconds are less than the margin that an extraction keeps: every invocation ends after one slice.
    let mut world = world_of_types("timeout_seconds = 4").await;
    world.application(ROWS).await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_thing"), [195, 0, 0, 0, 0]);
    // 195 rows in slices of 40.
    assert_eq!(world.visits(&run.name, "Extract"), 5);
    let expected = world.source_value(&format!("{VALUES} thing")).await;
    assert_eq!(world.warehouse(&format!("{VALUES} fact_thing")).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn a_view_is_read_whole_and_its_key_is_verified() {
    let source = "[source.tables.thing.columns]\nid = 'integer'\nname = 'text'";
    let target = "[facts.fact_thing.columns]\nid = 'id'\nname = 'name'";
    let mut world = World::empty(|_| catalogue(source, target)).await;
    world.application("CREATE TABLE base AS SELECT i AS id, 'n' || i AS name FROM generate_series(1, 9) i").await;
    world.application("CREATE VIEW thing AS SELECT * FROM base").await;
    assert_eq!(world.load().await.counts("fact_thing"), [9, 0, 0, 0, 0]);
    world.application("UPDATE base SET name = 'other' WHERE id = 4").await;
    assert_eq!(world.load().await.counts("fact_thing"), [0, 1, 8, 0, 0]);
    world.application("INSERT INTO base VALUES (4, 'twice')").await;
    let run = world.run().await;
    assert_eq!(run.failure.0, "LoadFailed");
    assert!(
        run.failure.1.contains("the key (id) of fact_thing is not unique in its source: id 4"),
        "{}",
        run.failure.1
    );
    assert_eq!(world.warehouse("SELECT count(*) FROM fact_thing").await, "10");
    world.stop().await;
}
