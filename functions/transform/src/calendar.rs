//! The calendar: one row for every date that a fact of this batch refers to.

use std::collections::BTreeSet;

use catalog::message::TransformRequest;
use catalog::{CalendarAttribute, Error, Expression, Fault, Result, Target};
use chrono::{Datelike as _, NaiveDate};
use columnar::Cell;
use columnar::csv::Record;
use host::{Bucket, Host};

use crate::Sources;
use crate::output::ParquetParts;
use crate::program::date_column;
use crate::row::step;

pub(crate) async fn write(
    host: &Host,
    request: &TransformRequest,
    target: &Target,
    output: &mut ParquetParts<'_>,
) -> Result<()> {
    let mut days: BTreeSet<i64> = BTreeSet::new();
    let dates = host.catalog.dates_of(target);
    for table in host.catalog.sources_of(target) {
        let of_table = dates.iter().filter(|(of, _)| of.name == table.name);
        let columns: Vec<_> = of_table.filter_map(|(_, column)| date_column(&column.expression)).collect();
        for source in Sources::of(host, request, table).await?.parts() {
            let body = host.lake.read_part(Bucket::Ingestion, &source.part).await?;
            let mut records = source.open(&body)?;
            let mut record = Record::default();
            let mut last = None;
            while records.read(&mut record).map_err(|error| source.damaged(error))? {
                for (field, of) in &columns {
                    let Some(text) = record.text(field.place).map_err(|error| source.damaged(error))? else {
                        continue;
                    };
                    // A value that is no date rejects its row where the fact is made; here it is no date of any fact.
                    let day = columnar::parse(field.value, text).ok().and_then(|cell| step(*of, &cell).ok());
                    if let Some(Cell::Int(day)) = day
                        && last != Some(day)
                    {
                        days.insert(day);
                        last = Some(day);
                    }
                }
            }
        }
    }
    for day in days {
        let date = i32::try_from(day).ok().and_then(NaiveDate::from_epoch_days);
        let date = date.ok_or_else(|| Error::new(Fault::Bug, format!("day {day} is out of range")))?;
        let mut row: Vec<Cell<'static>> = Vec::with_capacity(target.columns.len() + 1);
        for column in &target.columns {
            row.push(match column.expression {
                Expression::Calendar(attribute) => cell(attribute, date),
                _ => return Err(Error::new(Fault::Bug, format!("{} is no calendar column", column.name))),
            });
        }
        row.push(Cell::Null);
        output.push(&row).await?;
    }
    Ok(())
}

fn cell(attribute: CalendarAttribute, date: NaiveDate) -> Cell<'static> {
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
    fn a_sunday_in_the_first_quarter() {
        let date = NaiveDate::from_ymd_opt(2023, 1, 1).unwrap();
        let row: Vec<Cell<'_>> = [
            CalendarAttribute::Year,
            CalendarAttribute::Month,
            CalendarAttribute::Day,
            CalendarAttribute::DayOfWeek,
            CalendarAttribute::DayName,
            CalendarAttribute::MonthName,
            CalendarAttribute::Quarter,
        ]
        .map(|attribute| cell(attribute, date))
        .into();
        let (int, text) = (Cell::Int, |text: &'static str| Cell::Text(text.into()));
        assert_eq!(row, [int(2023), int(1), int(1), int(7), text("Sunday"), text("January"), int(1)]);
    }
}
