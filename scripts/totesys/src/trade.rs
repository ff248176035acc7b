//! An application at work: what totesys does to its tables while the pipeline runs, the awkward things included.

use anyhow::Result;
use fastrand::Rng;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

/// A trader with two connections, so that one transaction can stay open while the other commits.
pub struct Trader {
    rng: Rng,
    database: PgConnection,
    second: PgConnection,
    is_late: bool,
}

impl Trader {
    /// A trader over two connections to its database. The same seed does the same things in the same order.
    #[must_use]
    pub fn new(database: PgConnection, second: PgConnection, seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), database, second, is_late: false }
    }

    /// Does one thing, and says what.
    ///
    /// # Errors
    /// What the database answers.
    pub async fn step(&mut self) -> Result<String> {
        if std::mem::take(&mut self.is_late) {
            sqlx::raw_sql("COMMIT").execute(&mut self.second).await?;
            return Ok("the late order is committed".to_owned());
        }
        match self.rng.u8(..20) {
            0 => self.pay().await,
            1 => self.change_silently().await,
            2 => self.move_department().await,
            3 => self.move_address().await,
            4 => self.order_late().await,
            _ => self.order_several().await,
        }
    }

    async fn order_several(&mut self) -> Result<String> {
        let count = self.rng.u32(1..=5);
        let mut last = 0;
        for _ in 0..count {
            let mut transaction = self.database.begin().await?;
            last = order(&mut transaction, &mut self.rng).await?;
            transaction.commit().await?;
        }
        Ok(format!("{count} new orders, the last is transaction {last}"))
    }

    /// Begins an order that is committed with the next step: by then a run may have read past it.
    async fn order_late(&mut self) -> Result<String> {
        sqlx::raw_sql("BEGIN").execute(&mut self.second).await?;
        let number = order(&mut self.second, &mut self.rng).await?;
        self.is_late = true;
        Ok(format!("an order that is not committed yet, transaction {number}"))
    }

    /// The job of 07:55: what is due is paid, with one timestamp for all.
    async fn pay(&mut self) -> Result<String> {
        let done = sqlx::query(
            "UPDATE payment SET paid = true, last_updated = date_trunc('day', localtimestamp) + interval '07:55:11.407'
              WHERE payment_id IN (SELECT payment_id FROM payment WHERE NOT paid ORDER BY payment_id LIMIT $1)",
        )
        .bind(self.rng.i64(1..=37))
        .execute(&mut self.database)
        .await?;
        Ok(format!("{} payments are paid", done.rows_affected()))
    }

    /// A change that does not move last_updated: the real application makes them.
    async fn change_silently(&mut self) -> Result<String> {
        let row = sqlx::query(
            "UPDATE sales_order SET design_id = 1 + design_id % (SELECT max(design_id) FROM design),
                                    agreed_delivery_date = (agreed_delivery_date::date + 1)::text
              WHERE sales_order_id = 1 + $1 % (SELECT max(sales_order_id) FROM sales_order)
              RETURNING sales_order_id",
        )
        .bind(self.rng.i32(0..1_000_000))
        .fetch_optional(&mut self.database)
        .await?;
        let id: Option<i32> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(format!("sales order {} changed, last_updated did not", id.unwrap_or_default()))
    }

    async fn move_department(&mut self) -> Result<String> {
        let place = ["Manchester", "Leeds", "York"][self.rng.usize(..3)];
        let row = sqlx::query(
            "UPDATE department SET location = $1, last_updated = localtimestamp
              WHERE department_id = 1 + $2 % (SELECT max(department_id) FROM department) RETURNING department_name",
        )
        .bind(place)
        .bind(self.rng.i32(0..1_000))
        .fetch_optional(&mut self.database)
        .await?;
        let name: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(format!("the department {} moved to {place}", name.unwrap_or_default()))
    }

    async fn move_address(&mut self) -> Result<String> {
        let line = format!("{} Mill Lane", self.rng.u32(1..999));
        let row = sqlx::query(
            "UPDATE address SET address_line_1 = $1, last_updated = localtimestamp
              WHERE address_id = 1 + $2 % (SELECT max(address_id) FROM address) RETURNING address_id",
        )
        .bind(&line)
        .bind(self.rng.i32(0..1_000))
        .fetch_optional(&mut self.database)
        .await?;
        let id: Option<i32> = row.map(|row| row.try_get(0)).transpose()?;
        Ok(format!("address {} is {line} now", id.unwrap_or_default()))
    }
}

/// An order with its transaction and payment, all of one millisecond; answers the transaction's id.
async fn order(connection: &mut PgConnection, rng: &mut Rng) -> Result<i32> {
    let refers = "(SELECT 1 + $1 % max(staff_id) FROM staff), (SELECT 1 + $1 % max(counterparty_id) FROM counterparty)";
    let agreed = "1 + $1 % 3, (localtimestamp::date + 3)::text, (localtimestamp::date + 2)::text, (SELECT 1 + $1 % max(address_id) FROM address)";
    let is_sale = rng.u32(..1_000) < 706;
    let statement = if is_sale {
        format!(
            "WITH made AS (
                 INSERT INTO sales_order (created_at, last_updated, design_id, staff_id, counterparty_id, units_sold, unit_price,
                                          currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
                 SELECT localtimestamp(3), localtimestamp(3), (SELECT 1 + $1 % max(design_id) FROM design), {refers}, 1001 + $1 % 98000,
                        2 + ($1 % 201)::numeric / 100, {agreed}
                 RETURNING sales_order_id, counterparty_id, currency_id, units_sold * unit_price AS amount),
             entered AS (
                 INSERT INTO transaction (transaction_type, sales_order_id, created_at, last_updated)
                 SELECT 'SALE', sales_order_id, localtimestamp(3), localtimestamp(3) FROM made RETURNING transaction_id)
             {PAYMENT}"
        )
    } else {
        format!(
            "WITH made AS (
                 INSERT INTO purchase_order (created_at, last_updated, staff_id, counterparty_id, item_code, item_quantity,
                                             item_unit_price, currency_id, agreed_delivery_date, agreed_payment_date,
                                             agreed_delivery_location_id)
                 SELECT localtimestamp(3), localtimestamp(3), {refers}, lpad(($1 % 10000000)::text, 7, '0'), 1 + $1 % 999,
                        4 + ($1 % 99000)::numeric / 100, {agreed}
                 RETURNING purchase_order_id, counterparty_id, currency_id, item_quantity * item_unit_price AS amount),
             entered AS (
                 INSERT INTO transaction (transaction_type, purchase_order_id, created_at, last_updated)
                 SELECT 'PURCHASE', purchase_order_id, localtimestamp(3), localtimestamp(3) FROM made RETURNING transaction_id)
             {PAYMENT}"
        )
    };
    let payment_type = if is_sale { 1 } else { 3 };
    let row = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(rng.i32(0..i32::MAX))
        .bind(payment_type)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

const PAYMENT: &str = "
    INSERT INTO payment (created_at, last_updated, transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id,
                         paid, payment_date, company_ac_number, counterparty_ac_number)
    SELECT localtimestamp(3), localtimestamp(3), transaction_id, counterparty_id, amount, currency_id, $2, false,
           (localtimestamp::date + 2)::text, 10000000 + $1 % 89999999, 10000000 + $1 % 79999999
      FROM made, entered
    RETURNING transaction_id";
