//! Transaction ids of the source: what "written since" means, here and in SQL, right across the wrap-around.
//!
//! A row carries the low 32 bits of the transaction that wrote it (`xmin`), which begin anew every four billion
//! transactions; a server counts in 64 bits. Two ids compare by their distance on the circle of 32 bits, which is right as
//! long as they are less than half of it apart.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ROW_VERSION;

/// The 32-bit transaction ids that there are.
const CIRCLE: u64 = 1 << 32;
/// Half of them: ids further apart cannot be told to be before or after each other.
const HALF: u64 = 1 << 31;

/// A 64-bit transaction id of the source: at one moment the oldest that may still commit. Whatever is older is in every
/// later read; rows written at or after it are read again by the next batch.
///
/// On the wire it is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Horizon(u64);

impl Horizon {
    /// Before every transaction.
    pub const START: Self = Self(0);

    /// The horizon at a 64-bit transaction id.
    #[must_use]
    pub const fn new(transaction: u64) -> Self {
        Self(transaction)
    }

    /// The 32 bits of it that a row would carry.
    fn of_a_row(self) -> u64 {
        self.0 % CIRCLE
    }

    /// Whether it lies so far before `next`, the server's next transaction id, that rows before and after it can no longer
    /// be told apart. One that is ahead of `next` is not too old, but of another server.
    #[must_use]
    pub fn is_too_old(self, next: Self) -> bool {
        next.0.saturating_sub(self.0) >= HALF
    }

    /// The condition on a row of the source: written at or after this.
    ///
    /// A row whose transaction is further back than half of the circle looks as if it came after; so what a statement can
    /// see at all is the other bound. `age()` would do the same and never be counted by several processes at once.
    #[must_use]
    pub fn written_since(self) -> String {
        let since = distance("xmin::text::bigint", self);
        // A scalar subquery is evaluated once, not once a row.
        format!("{since} < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - {self})")
    }
}

/// How far a row's transaction id is after a horizon on the circle, in SQL.
fn distance(version: &str, horizon: Horizon) -> String {
    format!("({version} - {} + {CIRCLE}) % {CIRCLE}", horizon.of_a_row())
}

/// The transactions from one horizon up to a later one: less than half of the circle apart, so that it is clear of a row
/// whether it was written in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first transaction in it.
    pub from: Horizon,
    /// The first one after it.
    pub until: Horizon,
}

impl Window {
    fn length(self) -> u64 {
        self.until.0.saturating_sub(self.from.0).min(HALF)
    }

    /// Whether a row with this transaction id was written in it.
    #[must_use]
    pub fn holds(self, version: u32) -> bool {
        (u64::from(version) + CIRCLE - self.from.of_a_row()) % CIRCLE < self.length()
    }

    /// The same as a condition on the row `alias` of a stage, where the transaction id is a `bigint`; false where it is
    /// null, as that of a view's row.
    #[must_use]
    pub fn holds_staged(self, alias: &'static str) -> String {
        let version = distance(&format!("{alias}.\"{ROW_VERSION}\""), self.from);
        format!("coalesce({version} < {}, false)", self.length())
    }
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Horizon {
    type Err = ParseIntError;
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn transaction_ids_compare_across_the_wrap_around() {
        let is_since = |version: u32, horizon: u64| {
            Window { from: Horizon::new(horizon), until: Horizon::new(horizon + 1_000) }.holds(version)
        };
        assert!(is_since(100, 100) && is_since(101, 100) && !is_since(99, 100));
        assert!(is_since(5, u64::from(u32::MAX) - 5), "five is after the wrap");
        assert!(!is_since(u32::MAX - 5, CIRCLE + 5), "the horizon is after the wrap");
        assert!(is_since(7, 3 * CIRCLE + 7), "the epoch does not matter");
    }

    #[test]
    fn a_row_of_half_a_circle_ago_was_not_written_since() {
        let now = 3 * CIRCLE;
        let window = Window { from: Horizon::new(now), until: Horizon::new(now + 50) };
        let version = |written: u64| u32::try_from(written % CIRCLE).unwrap();
        assert!(window.holds(version(now)) && window.holds(version(now + 49)));
        for before in [1, HALF - 1, HALF, HALF + 1, CIRCLE - 51] {
            assert!(!window.holds(version(now - before)), "{before} transactions ago");
        }
    }

    #[test]
    fn half_the_circle_is_too_old() {
        let horizon = Horizon::new(100);
        assert!(!horizon.is_too_old(Horizon::new(100 + HALF - 1)));
        assert!(horizon.is_too_old(Horizon::new(100 + HALF)));
        assert!(!horizon.is_too_old(Horizon::new(99)), "ahead of the server");
    }

    #[test]
    fn it_is_a_number_on_the_wire() {
        let horizon = Horizon::new(12_345_678_901);
        assert_eq!(serde_json::to_string(&horizon).unwrap(), "12345678901");
        assert_eq!(serde_json::from_str::<Horizon>("12345678901").unwrap(), horizon);
        assert_eq!("12345678901".parse(), Ok(horizon));
    }

    #[test]
    fn its_conditions_in_sql() {
        let horizon = Horizon::new(CIRCLE + 7);
        expect!["(xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303)"].assert_eq(&horizon.written_since());
        let window = Window { from: horizon, until: Horizon::new(CIRCLE + 11) };
        expect![[r#"coalesce((o."_xmin" - 7 + 4294967296) % 4294967296 < 4, false)"#]]
            .assert_eq(&window.holds_staged("o"));
    }

    proptest! {
        #[test]
        fn a_row_within_half_a_circle_compares_as_its_whole_transaction_id_does(
            horizon in HALF..u64::MAX - CIRCLE,
            length in 0..HALF,
            distance in -(1_i64 << 31)..(1_i64 << 31),
        ) {
            let written = horizon.checked_add_signed(distance).unwrap();
            let version = u32::try_from(written % CIRCLE).unwrap();
            let window = Window { from: Horizon::new(horizon), until: Horizon::new(horizon + length) };
            prop_assert_eq!(window.holds(version), written >= horizon && written < horizon + length);
        }
    }
}
