//! What functions tell of themselves: the names under which CloudWatch and the dashboard know it.

/// The namespace of all metrics; the function's name tells pipelines and environments apart.
pub const NAMESPACE: &str = "DataDetox";
/// The dimension by which a function's metrics are its own.
pub const DIMENSION: &str = "Function";

/// Something counted or timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Rows read or written.
    Rows,
    /// Bytes of them.
    Bytes,
    /// Keys that were new in the warehouse.
    Added,
    /// Keys whose row or newest version differed.
    Updated,
    /// Rows that the next batch brings again.
    Deferred,
    /// Rows that the warehouse cannot take.
    Rejected,
    /// How far the warehouse was behind the source when the batch was committed.
    Freshness,
    /// The time of the call.
    Duration,
}

impl Metric {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "Rows",
            Self::Bytes => "Bytes",
            Self::Added => "Added",
            Self::Updated => "Updated",
            Self::Deferred => "Deferred",
            Self::Rejected => "Rejected",
            Self::Freshness => "Freshness",
            Self::Duration => "Duration",
        }
    }

    /// Its unit, as CloudWatch spells it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Rows | Self::Added | Self::Updated | Self::Deferred | Self::Rejected => "Count",
            Self::Bytes => "Bytes",
            Self::Freshness | Self::Duration => "Milliseconds",
        }
    }
}
