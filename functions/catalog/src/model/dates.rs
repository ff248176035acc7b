//! The dates of a calendar: which columns of which fact refer to it, and what they are made of.

use std::sync::Arc;

use crate::model::{Derivation, Derived, Join, Origin, Table, Target, TargetColumn};

/// The columns of one fact that refer to a calendar.
#[derive(Clone, Debug)]
pub struct Dates<'c> {
    /// The fact.
    pub fact: &'c Target,
    /// How the fact's rows come about.
    pub derivation: &'c Derivation,
    /// The columns, each with how it comes about.
    pub columns: Vec<(&'c TargetColumn, &'c Derived)>,
    /// The lookups of the fact that one of the columns comes from.
    pub joins: Vec<&'c Join>,
}

impl<'c> Dates<'c> {
    /// `None` for a target without such a column.
    pub(super) fn of(fact: &'c Target, calendar: &Target) -> Option<Self> {
        let derivation = match &fact.origin {
            Origin::Table(derivation) => derivation,
            Origin::Calendar(_) => return None,
        };
        let refers = |column: &TargetColumn| {
            column.references.as_ref().is_some_and(|reference| reference.dimension == calendar.name)
        };
        let made = fact.columns.iter().zip(&derivation.columns);
        let columns: Vec<_> = made.filter(|(column, _)| refers(column)).collect();
        let used = |place: usize| columns.iter().any(|(_, derived)| derived.of.join == Some(place));
        let joins = derivation.joins.iter().enumerate();
        let joins = joins.filter(|(place, _)| used(*place)).map(|(_, join)| join).collect();
        (!columns.is_empty()).then_some(Self { fact, derivation, columns, joins })
    }

    /// The tables that the dates are read from: the fact's origin first, then the lookups.
    #[must_use]
    pub fn tables(&self) -> Vec<&'c Arc<Table>> {
        std::iter::once(&self.derivation.table).chain(self.joins.iter().map(|join| &join.table)).collect()
    }
}
