//! The shop's application: connections that write at once, each a script after the other.

use std::sync::Arc;
use std::time::Duration;

use catalog::Literal;
use fastrand::Rng;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;

use crate::flag::Flag;
use crate::site::Site;
use crate::sql;

/// Rows that no writer adds to.
const STAFF: i32 = 12;
const DEPARTMENTS: i32 = 4;
const CHANNELS: i32 = 4;
/// Sales whose product comes later: of them no version may be insisted on, as one that waits may be overtaken by a newer one.
pub(crate) const EARLY: i32 = 1_000_000;

/// One thing a writer does.
enum Act {
    Sql(String),
    Pause(Duration),
}

/// Writes until the flag is raised. A statement that the source refuses (a deadlock, a server that goes away) is rolled
/// back, as applications do.
pub(crate) async fn write(site: Arc<Site>, mut rng: Rng, lossy: bool, stop: Flag) {
    while !stop.is_raised() {
        let options = site.place().application;
        let Ok(mut connection) = options.connect().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let session =
            if lossy { "SET synchronous_commit = off; SET lock_timeout = '3s'" } else { "SET lock_timeout = '3s'" };
        let mut lives = sql::execute(&mut connection, session).await.is_ok();
        while lives && !stop.is_raised() {
            lives = act(&site, &mut connection, script(&site, &mut rng)).await;
            tokio::time::sleep(Duration::from_millis(rng.u64(2..50))).await;
        }
    }
}

/// Whether the connection lives.
async fn act(site: &Site, connection: &mut PgConnection, script: Vec<Act>) -> bool {
    for act in script {
        match act {
            Act::Pause(time) => tokio::time::sleep(time).await,
            Act::Sql(statement) => {
                if sql::execute(connection, &statement).await.is_err() {
                    return sql::execute(connection, "ROLLBACK").await.is_ok();
                }
                site.tally.one("statements");
                if statement.starts_with("COMMIT") {
                    site.tally.one("commits");
                }
            }
        }
    }
    true
}

fn script(site: &Site, rng: &mut Rng) -> Vec<Act> {
    let mut writer = Script { site, rng, acts: Vec::new() };
    match writer.rng.u32(0..100) {
        0..=15 => writer.orders(),
        16..=39 => writer.changes(),
        40..=45 => writer.there_and_back(),
        46..=53 => writer.savepoints(),
        54..=58 => writer.rolls_back(),
        59..=66 => writer.commits_late(),
        67..=73 => writer.deletes_and_may_bring_back(),
        74..=79 => writer.moves_people(),
        80..=84 => writer.changes_products(),
        85..=88 => writer.orders_what_comes_later(),
        89..=93 => writer.counts_stock(),
        94..=95 => writer.changes_many(),
        96 => writer.commits_in_between(),
        97 => writer.locks(),
        98 => writer.changes_channels(),
        _ => writer.touches(),
    }
    writer.acts
}

struct Script<'s> {
    site: &'s Site,
    rng: &'s mut Rng,
    acts: Vec<Act>,
}

impl Script<'_> {
    fn sql(&mut self, statement: impl Into<String>) {
        self.acts.push(Act::Sql(statement.into()));
    }

    fn pause(&mut self, up_to: u64) {
        let time = Duration::from_millis(self.rng.u64(5..up_to));
        self.acts.push(Act::Pause(time));
    }

    /// A transaction of these statements.
    fn transaction(&mut self, statements: Vec<String>) {
        self.sql("BEGIN");
        for statement in statements {
            self.sql(statement);
        }
        self.sql("COMMIT");
    }

    fn some_sale(&mut self) -> i32 {
        // The newest are changed most.
        let sales = self.site.sales();
        if self.rng.bool() { self.rng.i32((sales - 60).max(1)..sales) } else { self.rng.i32(1..sales) }
    }

    fn some_product(&mut self) -> i32 {
        self.rng.i32(1..=40)
    }

    fn day(&mut self) -> String {
        format!("2024-{:02}-{:02}", self.rng.u32(1..=12), self.rng.u32(1..=28))
    }

    fn moment(&mut self) -> String {
        let (hour, minute, milli) = (self.rng.u32(0..24), self.rng.u32(0..60), self.rng.u32(0..1000));
        format!("{} {hour:02}:{minute:02}:07.{milli:03}", self.day())
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 8] = ["", "NULL", "\\N", "a,b", "\"q\"", "it's", "Größe 🛍️", "two\nlines"];
        let number = self.rng.u32(0..1000);
        if self.rng.u32(0..3) == 0 { TEXTS[self.rng.usize(..TEXTS.len())].to_owned() } else { format!("text {number}") }
    }

    fn insert_sale(&mut self, sale: i32, product: i32) -> String {
        let (staff, channel) = (self.rng.i32(1..=STAFF), self.rng.i32(1..=CHANNELS));
        let (units, cents) = (self.rng.i32(0..50), self.rng.i32(0..100_000));
        let (day, moment, note) = (self.day(), self.moment(), self.text());
        let note = if self.rng.bool() { Literal(&note).to_string() } else { "NULL".to_owned() };
        format!(
            "INSERT INTO sale (sale_id, product_id, staff_id, channel_id, units, price, note, sold_on, created_at, last_updated)
             VALUES ({sale}, {product}, {staff}, {channel}, {units}, {cents} / 100.0, {note}, '{day}', '{moment}', '{moment}')
             ON CONFLICT DO NOTHING"
        )
    }

    fn update_sale(&mut self, sale: i32) -> String {
        let units = self.rng.i32(0..50);
        let set = match self.rng.u32(0..5) {
            0 => format!("units = {units}"),
            1 => format!("units = {units}, last_updated = '{}'", self.moment()),
            2 => {
                let text = self.text();
                format!("note = {}", Literal(&text))
            }
            3 => format!("product_id = {}, staff_id = {}", self.some_product(), self.rng.i32(1..=STAFF)),
            _ => format!("price = price + 0.01, sold_on = '{}', last_updated = '{}'", self.day(), self.moment()),
        };
        format!("UPDATE sale SET {set} WHERE sale_id = {sale}")
    }

    fn insert_product(&mut self, product: i32) -> String {
        let (kind, maker, cents) = (self.rng.u32(1..=3), self.rng.u32(0..9), self.rng.u32(0..9_999));
        format!(
            "INSERT INTO product (product_id, product_name, maker, kind, price)
             VALUES ({product}, 'Product {product}', 'Maker {maker}', (enum_range(NULL::kind))[{kind}], {cents} / 100.0)
             ON CONFLICT DO NOTHING"
        )
    }

    fn orders(&mut self) {
        let (sale, product) = (self.site.new_sale(), self.some_product());
        if self.rng.u32(0..4) == 0 {
            // With a product of its own, in one transaction, the fact before its dimension.
            let product = self.site.new_product();
            let statements = vec![self.insert_sale(sale, product), self.insert_product(product)];
            self.transaction(statements);
        } else {
            let statement = self.insert_sale(sale, product);
            self.transaction(vec![statement]);
        }
    }

    fn changes(&mut self) {
        let statements = (0..self.rng.u32(1..4)).map(|_| {
            let sale = self.some_sale();
            self.update_sale(sale)
        });
        let statements = statements.collect();
        self.transaction(statements);
    }

    fn there_and_back(&mut self) {
        let sale = self.some_sale();
        let set = |units: &str| format!("UPDATE sale SET units = {units} WHERE sale_id = {sale}");
        self.transaction(vec![set("1001")]);
        self.pause(700);
        self.transaction(vec![set("1002")]);
        self.pause(700);
        self.transaction(vec![set("1001")]);
    }

    fn savepoints(&mut self) {
        let (one, two, kept) = (self.some_sale(), self.some_sale(), self.site.new_sale());
        let product = self.some_product();
        let statements = vec![
            self.update_sale(one),
            "SAVEPOINT a".to_owned(),
            self.update_sale(two),
            "ROLLBACK TO a".to_owned(),
            "SAVEPOINT b".to_owned(),
            self.insert_sale(kept, product),
            "SAVEPOINT c".to_owned(),
            self.update_sale(kept),
            "RELEASE c".to_owned(),
            "RELEASE b".to_owned(),
        ];
        self.transaction(statements);
    }

    fn rolls_back(&mut self) {
        let (sale, new, product) = (self.some_sale(), self.site.new_sale(), self.some_product());
        self.sql("BEGIN");
        let update = self.update_sale(sale);
        self.sql(update);
        let insert = self.insert_sale(new, product);
        self.sql(insert);
        self.pause(100);
        self.sql("ROLLBACK");
    }

    /// Open across a run or two; half of them with a row of a savepoint, whose transaction id is another.
    fn commits_late(&mut self) {
        let (sale, new, product) = (self.some_sale(), self.site.new_sale(), self.some_product());
        self.sql("BEGIN");
        let update = self.update_sale(sale);
        self.sql(update);
        if self.rng.bool() {
            self.sql("SAVEPOINT late");
        }
        let insert = self.insert_sale(new, product);
        self.sql(insert);
        self.pause(2_500);
        self.sql("COMMIT");
    }

    fn deletes_and_may_bring_back(&mut self) {
        let (sale, product) = (self.some_sale(), self.some_product());
        let delete = format!("DELETE FROM sale WHERE sale_id = {sale}");
        let again = self.insert_sale(sale, product);
        match self.rng.u32(0..3) {
            0 => self.transaction(vec![delete]),
            1 => self.transaction(vec![delete, again]),
            _ => {
                self.transaction(vec![delete]);
                self.pause(900);
                self.transaction(vec![again]);
            }
        }
    }

    fn moves_people(&mut self) {
        let (staff, department) = (self.rng.i32(1..=STAFF), self.rng.i32(1..=DEPARTMENTS));
        let text = self.text();
        let statement = match self.rng.u32(0..4) {
            0 => format!("UPDATE staff SET department_id = {department} WHERE staff_id = {staff}"),
            1 => {
                format!("UPDATE department SET department_name = {} WHERE department_id = {department}", Literal(&text))
            }
            2 => format!(
                "UPDATE department SET location = nullif({}, '') WHERE department_id = {department}",
                Literal(&text)
            ),
            _ => format!(
                "UPDATE staff SET first_name = {}, last_updated = now() WHERE staff_id = {staff}",
                Literal(&text)
            ),
        };
        self.transaction(vec![statement]);
    }

    fn changes_products(&mut self) {
        let product = self.some_product();
        let text = self.text();
        let statements = match self.rng.u32(0..4) {
            0 => vec![format!("UPDATE product SET price = price + 1 WHERE product_id = {product}")],
            1 => vec![format!("UPDATE product SET product_name = {} WHERE product_id = {product}", Literal(&text))],
            2 => {
                let kind = self.rng.u32(1..=3);
                vec![format!("UPDATE product SET kind = (enum_range(NULL::kind))[{kind}] WHERE product_id = {product}")]
            }
            _ => {
                let again = self.insert_product(product);
                vec![format!("DELETE FROM product WHERE product_id = {product}"), again]
            }
        };
        self.transaction(statements);
    }

    fn orders_what_comes_later(&mut self) {
        let (sale, product) = (EARLY + self.site.new_sale(), self.site.new_product());
        let insert = self.insert_sale(sale, product);
        self.transaction(vec![insert]);
        self.pause(1_200);
        if self.rng.bool() {
            self.transaction(vec![format!("UPDATE sale SET units = units + 1 WHERE sale_id = {sale}")]);
        }
        let product = self.insert_product(product);
        self.transaction(vec![product]);
    }

    fn counts_stock(&mut self) {
        let (product, place, units) = (self.some_product(), self.rng.u32(0..5), self.rng.u32(0..20));
        let moment = self.moment();
        self.transaction(vec![format!(
            "INSERT INTO stock (product_id, place, units, counted_at) VALUES ({product}, 'place {place}', {units}, '{moment}')
             ON CONFLICT (product_id, place) DO UPDATE SET units = excluded.units, counted_at = excluded.counted_at"
        )]);
    }

    fn changes_many(&mut self) {
        let (modulus, rest) = (self.rng.i32(7..30), self.rng.i32(0..7));
        self.transaction(vec![format!("UPDATE sale SET units = units + 1 WHERE sale_id % {modulus} = {rest}")]);
    }

    /// A procedure that commits in between reports its rows late: no counter tells of them for a while.
    fn commits_in_between(&mut self) {
        let (one, two) = (self.some_sale(), self.some_sale());
        self.sql(format!(
            "DO $$ BEGIN UPDATE sale SET units = units + 3 WHERE sale_id = {one}; COMMIT;
                         UPDATE sale SET units = units + 5 WHERE sale_id = {two}; COMMIT; END $$"
        ));
        self.pause(400);
    }

    fn locks(&mut self) {
        let table = ["sale", "product", "staff", "department"][self.rng.usize(..4)];
        self.sql("BEGIN");
        self.sql(format!("LOCK TABLE {table}"));
        self.pause(1_500);
        self.sql("COMMIT");
    }

    fn changes_channels(&mut self) {
        let channel = self.rng.i32(1..=CHANNELS);
        let text = self.text();
        self.transaction(vec![format!(
            "UPDATE channel_first SET channel_name = {} WHERE channel_id = {channel}",
            Literal(&text)
        )]);
    }

    fn touches(&mut self) {
        let sale = self.some_sale();
        self.transaction(vec![format!("UPDATE sale SET units = units WHERE sale_id = {sale}")]);
    }
}
