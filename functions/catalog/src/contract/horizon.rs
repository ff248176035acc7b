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

    /// Whether a row with this transaction id was written at or after it.
    #[must_use]
    pub fn is_at_or_before(self, version: u32) -> bool {
        (u64::from(version) + CIRCLE - self.of_a_row()) % CIRCLE < HALF
    }

    /// The condition on a row of the source: written at or after this.
    #[must_use]
    pub fn written_since(self) -> String {
        // age() counts back from the newest transaction; a scalar subquery is evaluated once, not once a row.
        format!("age(xmin) <= (SELECT age('{}'::xid))", self.of_a_row())
    }

    /// The same condition on the row `alias` of a stage, where the transaction id is a `bigint`; false where it is null, as
    /// that of a view's row.
    #[must_use]
    pub fn staged_since(self, alias: &'static str) -> String {
        let column = format!("{alias}.\"{ROW_VERSION}\"");
        format!("coalesce((({column} - {} + {CIRCLE}) % {CIRCLE}) < {HALF}, false)", self.of_a_row())
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
        let is_since = |version: u32, horizon: u64| Horizon::new(horizon).is_at_or_before(version);
        assert!(is_since(100, 100) && is_since(101, 100) && !is_since(99, 100));
        assert!(is_since(5, u64::from(u32::MAX) - 5), "five is after the wrap");
        assert!(!is_since(u32::MAX - 5, CIRCLE + 5), "the horizon is after the wrap");
        assert!(is_since(7, 3 * CIRCLE + 7), "the epoch does not matter");
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
        expect!["age(xmin) <= (SELECT age('7'::xid))"].assert_eq(&horizon.written_since());
        expect![[r#"coalesce(((o."_xmin" - 7 + 4294967296) % 4294967296) < 2147483648, false)"#]]
            .assert_eq(&horizon.staged_since("o"));
    }

    proptest! {
        #[test]
        fn a_row_within_half_a_circle_compares_as_its_whole_transaction_id_does(
            horizon in HALF..u64::MAX - CIRCLE,
            distance in -(1_i64 << 31)..(1_i64 << 31),
        ) {
            let written = horizon.checked_add_signed(distance).unwrap();
            let version = u32::try_from(written % CIRCLE).unwrap();
            prop_assert_eq!(Horizon::new(horizon).is_at_or_before(version), written >= horizon);
        }
    }
}
