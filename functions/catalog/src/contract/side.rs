//! The two databases.

use std::fmt;

/// One of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The application's.
    Source,
    /// The analysts'.
    Warehouse,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Source, Self::Warehouse];

    /// Its name, as messages and secrets have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Warehouse => "warehouse",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
