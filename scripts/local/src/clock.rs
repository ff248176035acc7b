//! The wall clock of the local stack.

use chrono::{DateTime, SubsecRound as _, Utc};

/// Now, to the millisecond, as Step Functions counts.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the stack reads the clock")]
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}
