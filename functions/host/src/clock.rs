//! The wall clock, read at the edges alone.

use chrono::{DateTime, SubsecRound, Utc};

/// Now, to the millisecond.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the edge where a function reads the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}
