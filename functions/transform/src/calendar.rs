//! The calendar: one row for every date that a fact of this batch refers to.
//!
//! The dates are made by the fact's own program, cut down to the columns that refer to the calendar: what the fact holds
//! and what the calendar has a row for cannot differ.

use std::collections::BTreeSet;

use catalog::message::TransformRequest;
use catalog::{CalendarAttribute, Error, Fault, Result, Target};
use chrono::{Datelike as _, NaiveDate};
use columnar::Cell;
use host::Host;

use crate::output::ParquetParts;
use crate::program::Program;
use crate::row::Verdict;

pub(crate) async fn write(
    host: &Host,
    request: &TransformRequest,
    target: &Target,
    attributes: &[CalendarAttribute],
    output: &mut ParquetParts<'_>,
) -> Result<()> {
    // Days since 1970-01-01; NULL is none.
    let mut days: BTreeSet<i64> = BTreeSet::new();
    for dates in host.catalog.dates_of(target) {
        let program = Program::of_dates(&dates)?;
        let columns = program.columns.len();
        let take = async |verdict: Verdict, row: &[Cell<'_>]| {
            match verdict {
                Verdict::Row => days.extend(row.iter().take(columns).filter_map(Cell::int)),
                // Its row is none where the fact is made either; here it is no date of any fact.
                Verdict::Deferred | Verdict::Rejected(_) => {}
            }
            Ok(())
        };
        crate::each_row(host, request, target, &program, take).await?;
    }
    for day in days {
        let date = i32::try_from(day).ok().and_then(NaiveDate::from_epoch_days);
        let date = date.ok_or_else(|| Error::new(Fault::Bug, format!("day {day} is out of range")))?;
        let row: Vec<Cell<'static>> =
            attributes.iter().map(|attribute| said(*attribute, date)).chain([Cell::Null]).collect();
        output.push(&row).await?;
    }
    Ok(())
}

/// What an attribute says of a date.
fn said(attribute: CalendarAttribute, date: NaiveDate) -> Cell<'static> {
    let number = |number: u32| Cell::Int(number.into());
    match attribute {
        CalendarAttribute::Date => Cell::Int(date.to_epoch_days().into()),
        CalendarAttribute::Year => Cell::Int(date.year().into()),
        CalendarAttribute::Month => number(date.month()),
        CalendarAttribute::Day => number(date.day()),
        CalendarAttribute::DayOfWeek => number(date.weekday().number_from_monday()),
        CalendarAttribute::DayName => Cell::Text(date.format("%A").to_string().into()),
        CalendarAttribute::MonthName => Cell::Text(date.format("%B").to_string().into()),
        CalendarAttribute::Quarter => number(date.quarter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_says_of_the_example_what_the_table_says() {
        let date: NaiveDate = CalendarAttribute::EXAMPLE.parse().unwrap();
        for attribute in CalendarAttribute::ALL {
            let row = attribute.row();
            assert_eq!(said(attribute, date), columnar::parse(row.value, row.example.into()).unwrap(), "{}", row.name);
        }
    }

    #[test]
    fn a_sunday_in_the_first_quarter() {
        let date = NaiveDate::from_ymd_opt(2023, 1, 1).unwrap();
        let (int, text) = (Cell::Int, |text: &'static str| Cell::Text(text.into()));
        for (attribute, cell) in [
            (CalendarAttribute::DayOfWeek, int(7)),
            (CalendarAttribute::DayName, text("Sunday")),
            (CalendarAttribute::MonthName, text("January")),
            (CalendarAttribute::Quarter, int(1)),
        ] {
            assert_eq!(said(attribute, date), cell, "{attribute:?}");
        }
    }
}
