//! Orders one after another, the same for the same seed: each gives an order, a transaction and a payment.

use chrono::{Datelike as _, NaiveDateTime, TimeDelta, Weekday};
use fastrand::Rng;

use crate::people::{ADDRESSES, COUNTERPARTIES, CURRENCIES, DESIGNS, STAFF, beginning, stamp};

/// Orders of a working day, as in the real data; more where many are asked for.
const PER_DAY: u64 = 31;
/// Working days of the real data.
const DAYS: u64 = 520;
/// Sales among a thousand orders.
const SALES_PER_MILLE: u32 = 706;
const CODE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// An order with its transaction and payment.
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) created: NaiveDateTime,
    /// Number among the sales or among the purchases.
    id: u64,
    is_sale: bool,
    design: u32,
    staff: u32,
    counterparty: u32,
    currency: u32,
    location: u32,
    quantity: u32,
    /// Hundredths of the currency.
    price: u64,
    code: String,
    delivery: NaiveDateTime,
    payment: NaiveDateTime,
    accounts: (u32, u32),
}

/// All orders of a seed.
pub(crate) struct Orders {
    rng: Rng,
    count: u64,
    number: u64,
    sales: u64,
    day: NaiveDateTime,
    left_today: u64,
    clock: NaiveDateTime,
}

impl Orders {
    pub(crate) fn new(seed: u64, count: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            count,
            number: 0,
            sales: 0,
            day: beginning(),
            left_today: 0,
            clock: beginning(),
        }
    }

    /// Days from the first order to about the last.
    pub(crate) fn span_days(count: u64) -> i64 {
        i64::try_from(count / Self::per_day(count) * 7 / 5).unwrap_or(i64::MAX)
    }

    fn per_day(count: u64) -> u64 {
        PER_DAY.max(count / DAYS)
    }

    /// When the next order is made: on working days from eight to seven, in the order of time.
    fn next_time(&mut self) -> NaiveDateTime {
        if self.left_today == 0 {
            self.left_today = Self::per_day(self.count);
            if self.number > 0 {
                self.day += TimeDelta::days(1);
            }
            while matches!(self.day.weekday(), Weekday::Sat | Weekday::Sun) {
                self.day += TimeDelta::days(1);
            }
            let morning = self.day.date().and_hms_opt(8, 0, 0).unwrap_or(self.day);
            self.clock = morning.max(beginning());
        }
        self.left_today -= 1;
        let evening = 11 * 3_600_000_u64;
        let step = (evening / Self::per_day(self.count)).max(1);
        let pause = i64::try_from(self.rng.u64(..=step)).unwrap_or_default();
        // Writers run side by side: some share a millisecond, and a later id may carry an earlier time.
        let (pause, early) = if self.rng.u8(..10) == 0 { (pause % 4, self.rng.i64(0..=18)) } else { (pause, 0) };
        self.clock += TimeDelta::milliseconds(pause);
        self.clock - TimeDelta::milliseconds(early)
    }
}

impl Iterator for Orders {
    type Item = Order;

    fn next(&mut self) -> Option<Order> {
        if self.number == self.count {
            return None;
        }
        let created = self.next_time();
        self.number += 1;
        let rng = &mut self.rng;
        let is_sale = rng.u32(..1_000) < SALES_PER_MILLE;
        self.sales += u64::from(is_sale);
        let id = if is_sale { self.sales } else { self.number - self.sales };
        // One delivery in a hundred is agreed far ahead.
        let ahead = if rng.u8(..100) == 0 { rng.i64(30..=649) } else { rng.i64(1..=6) };
        Some(Order {
            number: self.number,
            created,
            id,
            is_sale,
            design: rng.u32(1..=DESIGNS),
            staff: rng.u32(1..=STAFF),
            counterparty: rng.u32(1..=COUNTERPARTIES),
            currency: rng.u32(1..=u32::try_from(CURRENCIES.len()).unwrap_or(1)),
            location: rng.u32(1..=ADDRESSES),
            quantity: if is_sale { rng.u32(1_001..=99_973) } else { rng.u32(1..=999) },
            price: if is_sale { rng.u64(200..=400) } else { rng.u64(332..=99_907) },
            code: (0..7).map(|_| char::from(CODE[rng.usize(..CODE.len())])).collect(),
            delivery: created + TimeDelta::days(ahead),
            payment: created + TimeDelta::days(rng.i64(0..=5)),
            accounts: (rng.u32(10_000_000..99_999_999), rng.u32(10_000_000..99_999_999)),
        })
    }
}

impl Order {
    fn money(hundredths: u64) -> String {
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    }

    fn day(at: NaiveDateTime) -> String {
        at.format("%Y-%m-%d").to_string()
    }

    /// A CSV line for `sales_order`, if it is one.
    pub(crate) fn sale(&self) -> Option<String> {
        let (at, price) = (stamp(self.created), Self::money(self.price));
        let (delivery, payment) = (Self::day(self.delivery), Self::day(self.payment));
        self.is_sale.then(|| {
            format!(
                "{},{at},{at},{},{},{},{},{price},{},{delivery},{payment},{}\n",
                self.id, self.design, self.staff, self.counterparty, self.quantity, self.currency, self.location
            )
        })
    }

    /// A CSV line for `purchase_order`, if it is one.
    pub(crate) fn purchase(&self) -> Option<String> {
        let (at, price) = (stamp(self.created), Self::money(self.price));
        let (delivery, payment) = (Self::day(self.delivery), Self::day(self.payment));
        (!self.is_sale).then(|| {
            format!(
                "{},{at},{at},{},{},{},{},{price},{},{delivery},{payment},{}\n",
                self.id, self.staff, self.counterparty, self.code, self.quantity, self.currency, self.location
            )
        })
    }

    /// A CSV line for `transaction`.
    pub(crate) fn transaction(&self) -> String {
        let at = stamp(self.created);
        let (kind, sale, purchase) = if self.is_sale {
            ("SALE", self.id.to_string(), String::new())
        } else {
            ("PURCHASE", String::new(), self.id.to_string())
        };
        format!("{},{kind},{sale},{purchase},{at},{at}\n", self.number)
    }

    /// A CSV line for `payment`.
    pub(crate) fn payment(&self) -> String {
        // The nightly job pays at 07:55 what is due, and moves last_updated.
        let paid = self.number.is_multiple_of(5);
        let due = self.payment.date().and_hms_milli_opt(7, 55, 11, 407).unwrap_or(self.payment).max(self.created);
        let updated = stamp(if paid { due } else { self.created });
        let amount = Self::money((u64::from(self.quantity) * self.price).min(9_999_999_999));
        format!(
            "{},{},{updated},{},{},{amount},{},{},{},{},{},{}\n",
            self.number,
            stamp(self.created),
            self.number,
            self.counterparty,
            self.currency,
            if self.is_sale { 1 } else { 3 },
            if paid { 't' } else { 'f' },
            Self::day(self.payment),
            self.accounts.0,
            self.accounts.1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_orders() {
        let lines = |seed| Orders::new(seed, 200).map(|order| order.payment()).collect::<String>();
        assert_eq!(lines(7), lines(7));
        assert_ne!(lines(7), lines(8));
    }

    #[test]
    fn orders_have_the_shape_of_the_real_ones() {
        let orders: Vec<Order> = Orders::new(1, 15_836).collect();
        let sales = orders.iter().filter(|order| order.is_sale).count();
        assert!((10_900..11_500).contains(&sales), "{sales}");
        assert!(orders.iter().all(|order| !matches!(order.created.weekday(), Weekday::Sat | Weekday::Sun)));
        assert!(orders.windows(2).any(|pair| pair[1].created < pair[0].created), "no writer was overtaken");
        assert!(orders.iter().any(|order| order.delivery - order.created > TimeDelta::days(365)));
        assert!(orders.iter().any(|order| order.code.starts_with('0') || order.code.ends_with('0')));
        let last = orders.last().unwrap();
        assert_eq!(last.id, u64::try_from(if last.is_sale { sales } else { orders.len() - sales }).unwrap());
    }
}
