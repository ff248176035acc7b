//! Rows that wait for their dimension: every version of them, in order, by the whole of its key, and until when.

use std::collections::BTreeMap;

use catalog::Fault;
use catalog::manifest::Reject;
use catalog::message::{Counts, Loaded};

use crate::shop::{Brings, CATALOGUE, Shop, brings, counts};

/// Rows of the fact that the transform could not take; a part of a key that is `NULL` is null.
fn refused(keys: &[&[&str]]) -> Vec<Reject> {
    let part = |part: &&str| (*part != "NULL").then(|| (*part).to_owned());
    let reject = |key: &&[&str]| Reject {
        key: key.iter().map(part).collect(),
        reason: "note: \"HA\" is too loud".to_owned(),
        told: "note is too loud".to_owned(),
        place: "line 2 of it".to_owned(),
        row: BTreeMap::from([("note".to_owned(), Some("HA".to_owned()))]),
    };
    keys.iter().map(reject).collect()
}

fn all(brought: Brings) -> Brings {
    Brings { whole: true, ..brought }
}

fn of_lines(loaded: &Loaded) -> Counts {
    *loaded.targets.iter().find(|(name, _)| name.as_str() == "fact_line").expect("it was built").1
}

#[tokio::test]
async fn every_version_that_waits_is_loaded_in_its_turn_before_what_the_batch_brings() {
    let mut shop = Shop::open().await;
    for (name, row) in [("one", "7|a|9|NULL|A"), ("two", "7|a|9|NULL|B"), ("three", "7|a|9|NULL|A")] {
        let loaded = shop.load(name, &[brings("fact_line", &[row])]).await;
        assert_eq!(counts(&loaded, "fact_line"), [0, 0, 0, 0, 1], "{name}");
    }
    // It is read again, as it is.
    let same = shop.load("four", &[brings("fact_line", &["7|a|9|NULL|A"])]).await;
    assert_eq!((counts(&same, "fact_line"), same.waiting), ([0, 0, 0, 0, 0], 3));
    let lines = brings("fact_line", &["7|a|9|NULL|C", "7|b|NULL|NULL|x"]);
    let healed = shop.load("five", &[brings("dim_staff", &["9|Ada"]), lines]).await;
    assert_eq!((counts(&healed, "fact_line"), healed.waiting), ([2, 3, 0, 0, 0], 0));
    assert_eq!(shop.lines().await, "7|a|9|NULL|A; 7|a|9|NULL|B; 7|a|9|NULL|A; 7|a|9|NULL|C; 7|b|NULL|NULL|x");
    shop.close().await;
}

#[tokio::test]
async fn a_version_that_can_be_loaded_overtakes_older_ones_and_no_newer_one() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("fact_line", &["7|a|1|NULL|A", "8|a|1|NULL|A"])]).await;
    shop.load("two", &[brings("fact_line", &["7|a|2|NULL|B", "8|a|2|NULL|B"])]).await;
    shop.load("three", &[brings("fact_line", &["7|a|3|NULL|C"])]).await;
    // The dimension of the middle one comes: the first is overtaken, the last goes on waiting.
    let healed = shop.load("four", &[brings("dim_staff", &["2|Bob"])]).await;
    assert_eq!((counts(&healed, "fact_line"), healed.waiting), ([2, 0, 0, 0, 0], 1));
    assert_eq!(shop.lines().await, "7|a|2|NULL|B; 8|a|2|NULL|B");
    assert_eq!(shop.rejected().await, "7,a: seller 3 is not in dim_staff");
    let healed = shop.load("five", &[brings("dim_staff", &["3|Cy"])]).await;
    assert_eq!((counts(&healed, "fact_line"), healed.waiting), ([0, 1, 0, 0, 0], 0));
    assert_eq!(shop.lines().await, "7|a|2|NULL|B; 8|a|2|NULL|B; 7|a|3|NULL|C");
    shop.close().await;
}

const TEXT_KEY: &str = "
[pipeline]
name = 'shop'
[source.tables.staff]
key = 'id'
capture = 'snapshot'
columns = { id = 'integer' }
[source.tables.line]
key = ['number', 'place']
capture = 'changes'
columns = { number = 'text', place = 'text', seller = 'integer null' }
[dimensions.dim_staff]
from = 'staff'
columns = { id = 'id' }
[facts.fact_line]
from = 'line'
surrogate_key = 'version'
columns = { number = 'number', place = 'place', seller = { from = 'seller', references = 'dim_staff' } }
";

#[tokio::test]
async fn keys_that_read_alike_once_they_are_joined_are_two() {
    let mut shop = Shop::with(TEXT_KEY).await;
    let loaded = shop.load("one", &[brings("fact_line", &["a,b|c|1", "a|b,c|1"])]).await;
    assert_eq!((counts(&loaded, "fact_line"), loaded.waiting), ([0, 0, 0, 0, 2], 2));
    let other = shop.load("two", &[brings("fact_line", &["a,b|c|NULL"])]).await;
    assert_eq!((counts(&other, "fact_line"), other.waiting), ([1, 0, 0, 0, 0], 1));
    let healed = shop.load("three", &[brings("dim_staff", &["1"])]).await;
    assert_eq!((counts(&healed, "fact_line"), healed.waiting), ([1, 0, 0, 0, 0], 0));
    let rejects = refused(&[&["x,y", "z"], &["x", "y,z"]]);
    let loaded = shop.load("four", &[Brings { rejects, ..brings("fact_line", &[]) }]).await;
    assert_eq!(counts(&loaded, "fact_line"), [0, 0, 0, 0, 2]);
    shop.close().await;
}

#[tokio::test]
async fn rows_without_a_key_are_counted_each_and_not_again() {
    let mut shop = Shop::open().await;
    let lines = |rejects: Vec<Reject>| all(Brings { rejects, ..brings("fact_line", &[]) });
    let two = || lines(refused(&[&["NULL", "a"], &["NULL", "a"]]));
    let first = shop.load("one", &[two()]).await;
    assert_eq!((of_lines(&first).rejected, first.waiting), (2, 2));
    let again = shop.load("two", &[two()]).await;
    assert_eq!((of_lines(&again).rejected, again.waiting), (0, 2));
    let third = shop.load("three", &[lines(refused(&[&["NULL", "a"], &["NULL", "a"], &["NULL", "NULL"]]))]).await;
    assert_eq!((of_lines(&third).rejected, third.waiting), (1, 3));
    let gone = shop.load("four", &[lines(refused(&[&["NULL", "NULL"]]))]).await;
    assert_eq!((of_lines(&gone).gone, gone.waiting), (2, 1));
    shop.close().await;
}

#[tokio::test]
async fn a_row_that_is_gone_from_the_source_waits_no_longer() {
    let mut shop = Shop::open().await;
    let lines = brings("fact_line", &["7|a|9|NULL|x", "7|b|9|NULL|x", "7|c|NULL|NULL|x"]);
    shop.load("one", &[Brings { rejects: refused(&[&["8", "a"], &["8", "b"]]), ..lines }]).await;
    let left =
        || Brings { rejects: refused(&[&["8", "a"]]), ..brings("fact_line", &["7|a|9|NULL|x", "7|c|NULL|NULL|x"]) };
    let some = shop.load("two", &[left()]).await;
    assert_eq!((of_lines(&some).gone, some.waiting), (0, 4), "changes alone prove nothing");
    // A row that comes again with the next batch is in no part.
    let deferred = shop.load("three", &[all(Brings { deferred: 1, ..left() })]).await;
    assert_eq!((of_lines(&deferred).gone, deferred.waiting), (0, 4));
    let whole = shop.load("four", &[all(left())]).await;
    assert_eq!((of_lines(&whole).gone, whole.waiting), (2, 2));
    assert_eq!(shop.rejected().await, "7,a: seller 9 is not in dim_staff; 8,a: note: \"HA\" is too loud");
    shop.close().await;
}

#[tokio::test]
async fn a_row_that_waits_under_another_definition_is_told_and_stops_nothing() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("fact_line", &["7|a|9|NULL|x", "7|b|9|NULL|x"])]).await;
    let heavier = CATALOGUE.replace("note = 'text null'", "note = 'text null'\nweight = 'integer'");
    shop.becomes(&heavier.replace("note = 'note'\n", "note = 'note'\nweight = 'weight'\n"));
    shop.bed.warehouse_does("ALTER TABLE fact_line ADD COLUMN weight integer NOT NULL").await;
    let loaded = shop.load("two", &[brings("dim_staff", &["9|Ada"])]).await;
    assert_eq!((counts(&loaded, "fact_line"), loaded.waiting), ([0, 0, 0, 0, 0], 2));
    let told = "7,a: seller 9 is not in dim_staff; the target is defined anew since: it is loaded once its source row is read again";
    assert!(shop.rejected().await.starts_with(told), "{}", shop.rejected().await);
    shop.load("three", &[brings("dim_staff", &["8|Bob"])]).await;
    assert!(shop.rejected().await.starts_with(&format!("{told}; 7,b")), "it is told once: {}", shop.rejected().await);
    // What is read again waits as it is now, or is loaded.
    let loaded = shop.load("four", &[brings("fact_line", &["7|a|9|NULL|x|5", "7|b|1|NULL|x|5"])]).await;
    assert_eq!((counts(&loaded, "fact_line"), loaded.waiting), ([1, 0, 0, 0, 1], 1));
    assert_eq!(shop.rejected().await, "7,b: seller 1 is not in dim_staff");
    shop.close().await;
}

#[tokio::test]
async fn what_the_load_rejects_counts_against_the_limit_and_what_waited_does_not() {
    let limited = CATALOGUE.replace("[dimensions", "[warehouse]\nreject_limit = 3\n[dimensions");
    let mut shop = Shop::with(&limited).await;
    let brought =
        |lines: &[&str]| Brings { rejects: refused(&[&["8", "a"], &["8", "b"]]), ..brings("fact_line", lines) };
    let request = shop.batch("one", &[brought(&["7|a|9|NULL|x", "7|b|9|NULL|x", "7|c|NULL|NULL|x"])]).await;
    let told = "4 rows of fact_line cannot be taken, more than 3, among them number 7, place (text): seller is not in dim_staff; \
                number 7, place (text): seller is not in dim_staff; line 2 of it: note is too loud";
    shop.refuses(&request, Fault::DataRejected, &[told]).await;
    assert_eq!(shop.ask("SELECT to_regclass('fact_line')").await, "NULL");
    let three = shop.load("two", &[brought(&["7|a|9|NULL|x"])]).await;
    assert_eq!((of_lines(&three).rejected, three.waiting), (3, 3));
    let again = shop.load("three", &[brought(&["7|a|9|NULL|x", "7|d|9|NULL|x"])]).await;
    assert_eq!((of_lines(&again).rejected, again.waiting), (1, 4));
    shop.close().await;
}

#[tokio::test]
async fn what_waits_is_kept_exactly() {
    let catalogue =
        CATALOGUE.replace("note = 'text null'", "note = 'json null'\nweight = 'double precision'\nfresh = 'boolean'");
    let mut shop =
        Shop::with(&catalogue.replace("note = 'note'\n", "note = 'note'\nweight = 'weight'\nfresh = 'fresh'\n")).await;
    let document = r#"{"b":  1.00, "a": "\u0000", "b": 2}"#;
    shop.load("one", &[brings("fact_line", &[&format!("7|a|9|NULL|{document}|-0|t")])]).await;
    shop.load("two", &[brings("dim_staff", &["9|Ada"])]).await;
    let row = "SELECT concat_ws(' ', note, weight, fresh) FROM fact_line";
    assert_eq!(shop.ask(row).await, format!("{document} -0 t"));
    shop.close().await;
}

const DATED: &str = "
[dimensions.dim_date]
calendar = true
columns = { day = { calendar = 'date' }, year = { calendar = 'year' } }
[facts.fact_line]
";

#[tokio::test]
async fn a_row_that_waited_finds_its_date_in_the_calendar() {
    let catalogue = CATALOGUE.replace("[facts.fact_line]\n", DATED).replace("note = 'text null'", "note = 'date null'");
    let catalogue = catalogue.replace("note = 'note'", "note = { from = 'note', references = 'dim_date' }");
    let mut shop = Shop::with(&catalogue).await;
    // The calendar has the dates of every row, whatever becomes of the row.
    let dates = brings("dim_date", &["2024-02-29|2024", "2024-03-01|2024"]);
    let lines = brings("fact_line", &["7|a|9|NULL|2024-02-29", "7|b|NULL|NULL|2024-03-01"]);
    let loaded = shop.load("one", &[dates, lines]).await;
    assert_eq!((counts(&loaded, "fact_line"), loaded.waiting), ([1, 0, 0, 0, 1], 1));
    let healed = shop.load("two", &[brings("dim_staff", &["9|Ada"])]).await;
    assert_eq!((counts(&healed, "fact_line"), healed.waiting), ([1, 0, 0, 0, 0], 0));
    let dated = "SELECT string_agg(concat_ws(' ', place, day), '; ' ORDER BY version) FROM fact_line LEFT JOIN dim_date ON day = note";
    assert_eq!(shop.ask(dated).await, "b 2024-03-01; a 2024-02-29");
    shop.close().await;
}
