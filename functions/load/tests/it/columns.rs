//! A column that the catalogue gains.

use catalog::message::{Counts, Loaded};

use crate::shop::{CATALOGUE, Shop, brings, counts};

/// The catalogue with a colour for every line and for everybody of the staff.
fn coloured() -> String {
    let source = CATALOGUE
        .replace("name = 'text null' }", "name = 'text null', colour = 'text null' }")
        .replace("note = 'text null'\n", "note = 'text null'\ncolour = 'text null'\n");
    source
        .replace("name = 'name' }", "name = 'name', colour = 'colour' }")
        .replace("note = 'note'\n", "note = 'note'\ncolour = 'colour'\n")
}

fn of_lines(loaded: &Loaded) -> Counts {
    *loaded.targets.iter().find(|(name, _)| name.as_str() == "fact_line").expect("it was built").1
}

#[tokio::test]
async fn a_column_that_a_fact_gains_is_filled_into_the_newest_versions_and_makes_none() {
    let mut shop = Shop::open().await;
    for (name, note) in [("one", "A"), ("two", "B"), ("three", "C")] {
        let (first, second) = (format!("7|a|NULL|NULL|{note}"), format!("7|b|NULL|NULL|{note}"));
        shop.load(name, &[brings("dim_staff", &["1|Ada"]), brings("fact_line", &[&first, &second, "7|c|NULL|NULL|x"])])
            .await;
    }
    shop.becomes(&coloured());
    shop.bed
        .warehouse_does(
            "ALTER TABLE fact_line ADD COLUMN colour varchar; ALTER TABLE dim_staff ADD COLUMN colour varchar",
        )
        .await;
    let rows = ["7|a|NULL|NULL|C|red", "7|b|NULL|NULL|D|red", "7|c|NULL|NULL|x|NULL", "7|d|NULL|NULL|x|red"];
    let brought = [brings("dim_staff", &["1|Ada|blue"]), brings("fact_line", &rows)];
    let loaded = shop.load("four", &brought).await;
    let expected = Counts { added: 1, updated: 1, unchanged: 1, filled: 1, ..Counts::default() };
    assert_eq!((of_lines(&loaded), counts(&loaded, "dim_staff")), (expected, [0, 1, 0, 0, 0]));
    let versions =
        "SELECT string_agg(concat_ws(' ', place, note, coalesce(colour, '-')), '; ' ORDER BY version) FROM fact_line";
    let expected = "a A -; b A -; c x -; a B -; b B -; a C red; b C -; b D red; d x red";
    assert_eq!(shop.ask(versions).await, expected);
    // From now on it is a column like others.
    let again = shop.load("five", &brought).await;
    assert_eq!(of_lines(&again), Counts { unchanged: 4, ..Counts::default() });
    let repainted = shop.load("six", &[brings("fact_line", &["7|a|NULL|NULL|C|green"])]).await;
    assert_eq!(of_lines(&repainted), Counts { updated: 1, ..Counts::default() });
    assert_eq!(shop.ask(versions).await, format!("{expected}; a C green"));
    shop.close().await;
}
