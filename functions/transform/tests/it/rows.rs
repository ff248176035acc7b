//! Rows: what is made of values and lookups, which are deferred and which rejected, and why.

use catalog::Fault;
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
    let told: Vec<String> = rejects.iter().map(|reject| format!("{}: {}", reject.shown_key(), reject.reason)).collect();
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
    let told: Vec<String> = rejects.iter().map(|reject| format!("{}: {}", reject.shown_key(), reject.reason)).collect();
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
    assert!(error.report().contains("more than 2 rows of dim_person cannot be taken, among them 1: born"), "{error}");
    assert_eq!(bed.made("dim_person").await, None);
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
