//! Every type arrives exactly: Postgres makes the values and compares them (R8).

use std::fmt::Write as _;

use sqlx::Row as _;

use crate::shop::{Brings, Shop, brings, counts};

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

/// Edges and nulls, and rows between them.
const VALUES: &str = r#"
    INSERT INTO thing VALUES
        (1001, -32768, -9223372036854775808, -99999999.99, -9999999999999999999999999999.9999999999, '-Infinity', '-Infinity', false,
         '', '0001-01-01', '00:00', '0001-01-01', '0001-01-01 00:00+00', '00000000-0000-0000-0000-000000000000', 'null', ''),
        (1002, 32767, 9223372036854775807, 99999999.99, 9999999999999999999999999999.9999999999, 'Infinity', 'Infinity', true,
         'NULL', '9999-12-31', '23:59:59.999999', '9999-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999+00',
         'ffffffff-ffff-ffff-ffff-ffffffffffff', '"text"', 'NULL'),
        (1003, 0, 0, 0.00, 0, 'NaN', 'NaN', true, '\N', '1969-12-31', '12:00:00.001', '1969-12-31 23:59:59.999999',
         '1969-12-31 23:59:59.999999+00', '00000000-0000-0000-0000-000000000001', '[]', '\N'),
        (1004, 0, 0, 0.10, 0.1, -0.0, -0.0, true, 'e', '2024-02-29', '01:02:03.04', '2024-02-29 10:00:00.19',
         '2024-02-29 10:00:00.19+05:30', '00000000-0000-0000-0000-000000000002', '{}', 'é'),
        (1005, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO thing
    SELECT i, (i * 331 - 32768)::smallint, (i::numeric * 97000000000000007 - 9223372036854775808)::bigint, i * 1000000.07 - 99999999,
           i * 1e25 + i / 7.0, (10.0 ^ (i % 70 - 35) / 3)::real, 10.0::float8 ^ (i % 600 - 300) / 3, i % 2 = 0,
           repeat(chr(32 + i), i % 7) || E'\n|' || i, date '0001-01-01' + i * 19000, time '00:00' + i * interval '7.000001 minutes',
           timestamp '0001-01-01' + i * interval '52 years 1.000003 seconds', timestamptz '0001-01-02 00:00+00' + i * interval '52 years',
           md5(i::text)::uuid, jsonb_build_object('i', i, 't', chr(200 + i), 'n', NULL), CASE WHEN i % 2 = 0 THEN 'x' || i END
      FROM generate_series(1, 190) AS i"#;

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[tokio::test]
async fn every_type_arrives_as_it_was() {
    let (mut source, mut target, mut made, mut texts) = (String::new(), String::new(), String::new(), String::new());
    for (number, (name, kind)) in COLUMNS.into_iter().enumerate() {
        let (null, comma) = if number == 0 { ("", "") } else { (" null", ", ") };
        writeln!(source, "'{name}' = '{kind}{null}'").expect("a text grows");
        writeln!(target, "'{name}' = '{name}'").expect("a text grows");
        write!(made, "{comma}{} {kind}", quoted(name)).expect("a text grows");
        // COPY prints truth by a letter.
        let text = if kind == "boolean" { "left({}::text, 1)" } else { "{}::text" };
        write!(texts, "{comma}{}", text.replace("{}", &quoted(name))).expect("a text grows");
    }
    let catalogue = format!(
        "[pipeline]\nname = 'types'\n[source.tables.thing]\nkey = 'id'\ncapture = 'changes'\n[source.tables.thing.columns]\n\
         {source}\n[facts.fact_thing]\nfrom = 'thing'\nsurrogate_key = 'n'\n[facts.fact_thing.columns]\n{target}\n"
    );
    let mut shop = Shop::with(&catalogue).await;
    shop.bed.source_does(&format!("SET extra_float_digits = 1; CREATE TABLE thing ({made}); {VALUES}")).await;
    shop.bed.warehouse_does("SET extra_float_digits = 1").await;
    let query = format!("SELECT ARRAY[{texts}] FROM thing ORDER BY id");
    let rows =
        sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(&mut shop.bed.source).await.expect("the source answers");
    let rows: Vec<Vec<Option<String>>> = rows.iter().map(|row| row.get(0)).collect();
    let all = Brings { rows, ..brings("fact_thing", &[]) };
    assert_eq!(counts(&shop.load("one", std::slice::from_ref(&all)).await, "fact_thing"), [195, 0, 0, 0, 0]);
    let all_texts = |table: &str| format!("SELECT string_agg(ARRAY[{texts}]::text, E'\\n' ORDER BY id) FROM {table}");
    let expected = shop.bed.ask_source(&all_texts("thing")).await;
    assert_eq!(shop.ask(&all_texts("fact_thing")).await, expected);
    assert_eq!(counts(&shop.load("two", &[all]).await, "fact_thing"), [0, 0, 195, 0, 0]);
    shop.close().await;
}

const JSON: &str = "
[pipeline]
name = 'documents'
[source.tables.thing]
key = 'id'
capture = 'changes'
columns = { id = 'integer', plain = 'json', packed = 'jsonb', weight = 'double precision' }
[dimensions.dim_thing]
from = 'thing'
columns = { id = 'id', plain = 'plain', packed = 'packed', weight = 'weight', taken_apart = { from = 'plain', type = 'jsonb' } }
[facts.fact_thing]
from = 'thing'
surrogate_key = 'n'
columns = { id = 'id', plain = 'plain', packed = 'packed', weight = 'weight' }
";

#[tokio::test]
async fn a_json_stays_its_text_and_what_only_equals_a_value_is_another() {
    let mut shop = Shop::with(JSON).await;
    let plain = "{\"b\":  1, \"a\": 2.0, \"b\": 3}";
    let rows = |plain: &str, packed: &str, weight: &str| {
        let row = format!("1|{plain}|{packed}|{weight}");
        [brings("dim_thing", &[&format!("{row}|{plain}")]), brings("fact_thing", &[&row])]
    };
    shop.load("one", &rows(plain, "{\"a\": 1.0}", "0")).await;
    let types = "SELECT string_agg(format('%s %s', column_name, data_type), ', ' ORDER BY ordinal_position)
                   FROM information_schema.columns WHERE table_name = 'dim_thing'";
    let expected = "id integer, plain json, packed jsonb, weight double precision, taken_apart jsonb";
    assert_eq!(shop.ask(types).await, expected);
    assert_eq!(shop.ask("SELECT plain FROM fact_thing").await, plain);
    assert_eq!(shop.ask("SELECT taken_apart FROM dim_thing").await, "{\"a\": 2.0, \"b\": 3}");
    for (name, [dimension, fact]) in [
        ("the same", rows(plain, "{\"a\": 1.0}", "0")),
        ("other blanks", rows("{\"b\": 1}", "{\"a\": 1.0}", "0")),
        ("more digits", rows("{\"b\": 1}", "{\"a\": 1.00}", "0")),
        ("minus nothing", rows("{\"b\": 1}", "{\"a\": 1.00}", "-0")),
    ] {
        let loaded = shop.load(name, &[dimension, fact]).await;
        let expected = if name == "the same" { [0, 0, 1, 0, 0] } else { [0, 1, 0, 0, 0] };
        assert_eq!((counts(&loaded, "dim_thing"), counts(&loaded, "fact_thing")), (expected, expected), "{name}");
    }
    let versions = "SELECT string_agg(concat_ws(' ', plain, packed, weight), '; ' ORDER BY n) FROM fact_thing";
    let first = format!("{plain} {{\"a\": 1.0}} 0");
    let others = "{\"b\": 1} {\"a\": 1.0} 0; {\"b\": 1} {\"a\": 1.00} 0; {\"b\": 1} {\"a\": 1.00} -0";
    assert_eq!(shop.ask(versions).await, format!("{first}; {others}"));
    shop.close().await;
}

#[tokio::test]
async fn a_collation_that_takes_one_text_for_another_hides_no_change() {
    let mut shop = Shop::open().await;
    let own = "CREATE COLLATION careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
               CREATE TABLE dim_staff (id int PRIMARY KEY, name varchar COLLATE careless);
               CREATE TABLE fact_line (version serial PRIMARY KEY, number int NOT NULL, place varchar NOT NULL,
                                       seller int, packer int, note varchar COLLATE careless)";
    shop.bed.warehouse_does(own).await;
    shop.load("one", &[brings("dim_staff", &["1|ada"]), brings("fact_line", &["7|a|1|1|x"])]).await;
    let loaded = shop.load("two", &[brings("dim_staff", &["1|Ada"]), brings("fact_line", &["7|a|1|1|X"])]).await;
    assert_eq!((counts(&loaded, "dim_staff"), counts(&loaded, "fact_line")), ([0, 1, 0, 0, 0], [0, 1, 0, 0, 0]));
    shop.close().await;
}
