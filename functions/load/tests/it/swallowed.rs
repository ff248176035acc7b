//! A warehouse that takes rows and does not keep them.

use catalog::Fault;

use crate::shop::{Shop, brings, counts};

/// A trigger that drops rows of Bob, and lines with his note.
const SWALLOWING: &str = "
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RETURN CASE WHEN to_jsonb(new) ->> TG_ARGV[0] = 'Bob' THEN NULL ELSE new END; END $$;
    CREATE TRIGGER swallows BEFORE INSERT OR UPDATE ON dim_staff FOR EACH ROW EXECUTE FUNCTION swallow('name');
    CREATE TRIGGER swallows BEFORE INSERT ON fact_line FOR EACH ROW EXECUTE FUNCTION swallow('note')";

const TABLES: &str = "
    CREATE TABLE dim_staff (id integer PRIMARY KEY, name varchar);
    CREATE TABLE fact_line (version serial PRIMARY KEY, number integer NOT NULL, place varchar NOT NULL, seller integer,
                            packer integer, note varchar)";

#[tokio::test]
async fn rows_that_a_trigger_swallows_fail_the_batch_with_how_many() {
    let mut shop = Shop::open().await;
    shop.bed.warehouse_does(&format!("{TABLES}; {SWALLOWING}")).await;
    let told = "a trigger or rule of the warehouse swallowed them";
    let staff = shop.batch("first", &[brings("dim_staff", &["1|Ada", "2|Bob"])]).await;
    shop.refuses(&staff, Fault::WarehouseRefused, &["dim_staff", "1 of 2 rows", told]).await;
    let lines = shop.batch("lines", &[brings("fact_line", &["7|a|NULL|NULL|x", "7|b|NULL|NULL|Bob"])]).await;
    shop.refuses(&lines, Fault::WarehouseRefused, &["fact_line", "1 of 2 rows", told]).await;

    shop.load("one", &[brings("dim_staff", &["1|Ada"]), brings("fact_line", &["7|a|NULL|NULL|x"])]).await;
    for (name, rows) in [("new", ["1|Ada", "2|Bob"]), ("known", ["1|Bob", "3|Cy"])] {
        let staff = shop.batch(name, &[brings("dim_staff", &rows)]).await;
        let expected = if name == "new" { "1 of 1 row " } else { "1 of 2 rows " };
        shop.refuses(&staff, Fault::WarehouseRefused, &["dim_staff", expected, told]).await;
    }
    let lines = shop.batch("versions", &[brings("fact_line", &["7|a|NULL|NULL|Bob", "7|b|NULL|NULL|y"])]).await;
    shop.refuses(&lines, Fault::WarehouseRefused, &["fact_line", "1 of 2 rows ", told]).await;

    // What waited is written in the same way.
    shop.load("waits", &[brings("fact_line", &["7|c|9|NULL|Bob"])]).await;
    let healing = shop.batch("healing", &[brings("dim_staff", &["9|Di"])]).await;
    shop.refuses(&healing, Fault::WarehouseRefused, &["fact_line", "1 of 1 row ", told]).await;
    assert_eq!(shop.ask("SELECT string_agg(name, ' ') FROM dim_staff").await, "Ada");
    assert_eq!(shop.lines().await, "7|a|NULL|NULL|x");
    shop.close().await;
}

#[tokio::test]
async fn a_rule_that_does_nothing_instead_fails_the_batch() {
    let mut shop = Shop::open().await;
    shop.bed
        .warehouse_does(&format!("{TABLES}; CREATE RULE nothing AS ON INSERT TO fact_line DO INSTEAD NOTHING"))
        .await;
    let lines = shop.batch("one", &[brings("fact_line", &["7|a|NULL|NULL|x"])]).await;
    shop.refuses(&lines, Fault::WarehouseRefused, &["fact_line", "1 of 1 row "]).await;
    shop.close().await;
}

#[tokio::test]
async fn rows_that_a_trigger_puts_into_a_child_are_there() {
    let mut shop = Shop::open().await;
    let routed = "CREATE TABLE fact_line_all () INHERITS (fact_line);
                  CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$
                  BEGIN INSERT INTO public.fact_line_all VALUES (new.*); RETURN NULL; END $$;
                  CREATE TRIGGER routes BEFORE INSERT ON fact_line FOR EACH ROW EXECUTE FUNCTION route()";
    shop.bed.warehouse_does(&format!("{TABLES}; {routed}")).await;
    let first = shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|x", "7|b|NULL|NULL|x"])]).await;
    assert_eq!(counts(&first, "fact_line"), [2, 0, 0, 0, 0]);
    let second =
        shop.load("two", &[brings("fact_line", &["7|a|NULL|NULL|y", "7|b|NULL|NULL|x", "7|c|NULL|NULL|x"])]).await;
    assert_eq!(counts(&second, "fact_line"), [1, 1, 1, 0, 0]);
    assert_eq!(shop.ask("SELECT count(*) FROM fact_line_all").await, "4");
    shop.close().await;
}
