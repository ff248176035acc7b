//! Rows: what is made of values and lookups, which are deferred and which rejected, and why.

use catalog::Fault;
use catalog::manifest::Reject;
use catalog::message::StepStatus;

use crate::bed::Bed;

const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [warehouse]
    reject_limit = 2
    [source.tables.person]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer', team_id = 'integer null', name = 'text', note = 'text null', joined = 'timestamp', born = 'text null', currency = 'text' }
    [source.tables.team]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer', name = 'text null', budget = 'numeric(10,2)' }
    [dimensions.dim_person]
    from = 'person'
    joins.team.on = 'team_id'
    [dimensions.dim_person.columns]
    id = 'id'
    name = 'name'
    note = 'note'
    kind = { from = 'note', if_null = 'none' }
    team = 'team.name'
    budget = { from = 'team.budget', if_null = 0.00 }
    day = { date_of = 'joined' }
    time = { time_of = 'joined' }
    born = { text_to_date = 'born' }
    money = { currency_name = 'currency' }
";

/// The team of every person below that has one.
const TEAMS: &str = "7,Blue,1200.50,1\n8,,0.10,1\n";

/// A rejected row as its manifest has it: its key, and why.
fn told(reject: &Reject) -> String {
    let key: Vec<&str> = reject.key.iter().map(|part| part.as_deref().unwrap_or("NULL")).collect();
    format!("{}: {}", key.join(", "), reject.reason)
}

async fn bed(persons: &str) -> Bed {
    let bed = Bed::new(CATALOGUE).await;
    bed.extracted("team", TEAMS).await;
    bed.extracted("person", persons).await;
    bed
}

#[tokio::test]
async fn values_lookups_and_constants_come_out_as_they_went_in() {
    let mut bed = bed("1,7,Ann,,2022-11-03 14:20:52.186,1990-01-31,GBP,5\n\
                       2,8,\"O'Keefe, \"\"Jr\"\"\",\"\",1969-12-31 23:59:59.999999,,EUR,6\n\
                       3,,\\N,NULL,0001-01-01 00:00:00,0044-03-15 BC,JPY,\n")
    .await;
    let done = bed.transform("dim_person", "1").await.unwrap();
    assert_eq!((done.status, done.rows, done.deferred, done.rejected), (StepStatus::Done, 3, 0, 0));
    let (rows, _) = bed.rows("dim_person").await;
    expect_test::expect![[r#"
        (1,Ann,,none,Blue,1200.50,2022-11-03,14:20:52.186,1990-01-31,"Pound sterling",5)
        (2,"O'Keefe, ""Jr""","","",,0.10,1969-12-31,23:59:59.999999,,Euro,6)
        (3,"\\N",NULL,NULL,,0.00,0001-01-01,00:00:00,"0044-03-15 BC","Japanese yen",)"#]]
    .assert_eq(&rows.join("\n"));
    bed.end().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_taken_is_rejected_with_the_reason_and_all_its_values() {
    let bed = bed("1,7,Ann,,2022-11-03 14:20:52,soon,GBP,5\n2,7,,,2022-11-03 14:20:52,,XQZ,6\n").await;
    let done = bed.transform("dim_person", "1").await.unwrap();
    assert_eq!((done.rows, done.deferred, done.rejected), (0, 0, 2));
    let rejects = bed.made("dim_person").await.unwrap().rejects;
    let told: Vec<String> = rejects.iter().map(told).collect();
    assert_eq!(told, ["1: born: \"soon\" is no date (YYYY-MM-DD)", "2: name is null"]);
    assert_eq!(rejects[0].row["note"], None);
    assert_eq!(rejects[0].row["joined"].as_deref(), Some("2022-11-03 14:20:52"));
    bed.end().await;
}

#[tokio::test]
async fn a_row_without_its_lookup_is_deferred_where_it_comes_again_and_rejected_where_not() {
    // Versions at and after the horizon come again with the next batch, those before it do not; a view has none.
    let mut bed = bed("1,9,Ann,,2022-11-03 14:20:52,,GBP,1000\n2,9,Bob,,2022-11-03 14:20:52,,GBP,999\n\
                       3,9,Cy,,2022-11-03 14:20:52,,GBP,\n4,7,Di,,2022-11-03 14:20:52,,GBP,1001\n")
    .await;
    let done = bed.transform("dim_person", "1").await.unwrap();
    assert_eq!((done.rows, done.deferred, done.rejected), (1, 1, 2));
    let rejects = bed.made("dim_person").await.unwrap().rejects;
    let told: Vec<String> = rejects.iter().map(told).collect();
    assert_eq!(told, ["2: team_id 9 is not in team", "3: team_id 9 is not in team"]);
    assert!(bed.rows("dim_person").await.0[0].starts_with("(4,Di,"));
    bed.end().await;
}

#[tokio::test]
async fn more_rejected_rows_than_the_limit_fail_the_target_and_leave_no_manifest() {
    let bad = "7,Ann,,2022-11-03 14:20:52,soon,GBP,5\n";
    let bed = bed(&format!("1,{bad}2,{bad}3,{bad}")).await;
    let error = bed.transform("dim_person", "1").await.unwrap_err();
    assert_eq!(error.fault(), Fault::DataRejected);
    let told =
        "more than 2 rows of dim_person cannot be taken, among them id 1: born is no date (YYYY-MM-DD); id 2: born";
    assert!(error.report().contains(told), "{error}");
    assert!(!error.report().contains("soon"), "the value stays inside: {error}");
    assert_eq!(bed.made("dim_person").await, None);
    bed.end().await;
}

#[tokio::test]
async fn a_rejected_row_whose_key_is_a_text_is_told_by_its_line() {
    let limited =
        LIMITED.replace("[source.tables.thing]", "[warehouse]\n    reject_limit = 0\n    [source.tables.thing]");
    let bed = Bed::new(&limited).await;
    bed.extracted("thing", "k3y,1.00,t,xyz,,1\nk3y,2.00,t,long,,1\n").await;
    let error = bed.transform("fact_thing", "1").await.unwrap_err();
    let told =
        "among them line 3 of thing/first/part-000001-1.csv: name has 4 characters where the column takes 3 (to do: ";
    assert!(error.report().contains(told), "{}", error.report());
    assert!(!error.report().contains("k3y"), "{}", error.report());
    bed.end().await;
}

#[tokio::test]
async fn a_lookup_that_does_not_fit_the_memory_is_told_with_the_cure() {
    let catalogue = CATALOGUE.replace("from = 'person'\n", "from = 'person'\n    memory_mb = 128\n");
    let bed = Bed::new(&catalogue).await;
    let teams: String = (0..700_000).map(|id| format!("{id},x,1.00,1\n")).collect();
    bed.extracted("team", &teams).await;
    bed.extracted("person", "").await;
    let error = bed.transform("dim_person", "1").await.unwrap_err();
    assert_eq!(error.fault(), Fault::Misconfigured);
    let told = "team is looked up in memory and does not fit 128 MB: set memory_mb of dim_person higher";
    assert!(error.report().contains(told), "{}", error.report());
    bed.end().await;
}

const LIMITED: &str = "
    [pipeline]
    name = 'p'
    [source.tables.thing]
    key = ['code', 'price', 'fresh']
    capture = 'changes'
    [source.tables.thing.columns]
    code = 'text'
    price = 'numeric(10,2)'
    fresh = 'boolean'
    name = 'text null'
    about = 'json null'
    [facts.fact_thing]
    from = 'thing'
    surrogate_key = 'n'
    [facts.fact_thing.columns]
    code = 'code'
    price = 'price'
    fresh = 'fresh'
    name = { from = 'name', type = 'varchar(3)' }
    about = { from = 'about', type = 'jsonb' }
    plain = 'about'
";

#[tokio::test]
async fn what_its_column_does_not_hold_is_rejected_with_its_row() {
    let mut bed = Bed::new(LIMITED).await;
    let lines = "a,1.00,t,éé\u{20ac},,1\n\
                 b,1.00,t,\"xyz \",,1\n\
                 c,1.00,t,,\"{\"\"a\"\":  \"\"\\u0000\"\"}\",1\n\
                 d,1.00,t,,\"{\"\"a\"\":  1.00}\",1\n\
                 e,1.00,t,,[1e200000],1\n";
    bed.extracted("thing", lines).await;
    let done = bed.transform("fact_thing", "1").await.unwrap();
    assert_eq!((done.rows, done.rejected), (2, 3));
    let rejects = bed.made("fact_thing").await.unwrap().rejects;
    let told: Vec<String> = rejects.iter().map(told).collect();
    let expected = [
        "b, 1.00, true: name has 4 characters where the column takes 3",
        "c, 1.00, true: about holds \\u0000, which jsonb does not",
        "e, 1.00, true: about holds a number that is out of range, which jsonb does not",
    ];
    assert_eq!(told, expected);
    let rows = ["(a,1.00,t,éé\u{20ac},,,1)", r#"(d,1.00,t,,"{""a"": 1.00}","{""a"":  1.00}",1)"#];
    assert_eq!(bed.rows("fact_thing").await.0, rows);
    bed.end().await;
}

#[tokio::test]
async fn the_key_of_a_rejected_row_is_told_column_by_column_as_the_warehouse_prints_it() {
    let bed = Bed::new(LIMITED).await;
    bed.extracted("thing", "\"a,b\",7,f,long,,1\n\"\",-0.5,t,long,,1\n,1,t,,,1\n").await;
    bed.transform("fact_thing", "1").await.unwrap();
    let rejects = bed.made("fact_thing").await.unwrap().rejects;
    let keys: Vec<Vec<Option<&str>>> =
        rejects.iter().map(|reject| reject.key.iter().map(Option::as_deref).collect()).collect();
    let expected = [
        [Some("a,b"), Some("7.00"), Some("false")],
        [Some(""), Some("-0.50"), Some("true")],
        [None, Some("1.00"), Some("true")],
    ];
    assert_eq!(keys, expected);
    bed.end().await;
}

/// Postgres is the oracle: whatever it takes as `json` and not as `jsonb`, and nothing else, is known beforehand.
#[tokio::test]
async fn what_a_jsonb_does_not_hold_is_what_postgres_refuses() {
    let mut bed = Bed::new(LIMITED).await;
    let long = |digits: usize| "7".repeat(digits);
    let documents = [
        r#""\u0000""#.to_owned(),
        r#""\\u0000""#.to_owned(),
        r#""\\\u0000""#.to_owned(),
        r#"{"\u0000": 1}"#.to_owned(),
        r#""\ud83d\ude00""#.to_owned(),
        r#""\uD83D\uDE00 \n""#.to_owned(),
        r#""\ud83d""#.to_owned(),
        r#""\ud83dx""#.to_owned(),
        r#""\ud83d\n""#.to_owned(),
        r#""\ud83d\u0041""#.to_owned(),
        r#""\ud83d\ud83d\ude00""#.to_owned(),
        r#""\ude00""#.to_owned(),
        r#"["\ud83d", "\ude00"]"#.to_owned(),
        r#"{"a\"": "\\", "b": [-1.5E+2, true, null]}"#.to_owned(),
        "1e131071".to_owned(),
        "1e131072".to_owned(),
        "[10e131070]".to_owned(),
        "[10e131071]".to_owned(),
        "0.001e131074".to_owned(),
        "-0.001e131075".to_owned(),
        "0e131073".to_owned(),
        "0e1073741822".to_owned(),
        "0e1073741823".to_owned(),
        "1e99999999999999999999".to_owned(),
        "1e-16383".to_owned(),
        "1e-16384".to_owned(),
        "1.5e-16382".to_owned(),
        "1.5e-16383".to_owned(),
        "1.0e16384".to_owned(),
        "0e-16384".to_owned(),
        long(131_072),
        long(131_073),
        format!("0.{}", long(16_383)),
        format!("{{\"a\":0.{}}}", long(16_384)),
    ];
    for document in documents {
        let told = columnar::refused_by_jsonb(&document);
        assert!(bed.takes(&document, "json").await, "{document:.40} is no json");
        assert_eq!(told.is_none(), bed.takes(&document, "jsonb").await, "{document:.40}: {told:?}");
    }
    bed.end().await;
}
