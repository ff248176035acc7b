//! A calendar that is made anew: the source may no longer have every date that facts of the warehouse refer to, and a date
//! says all of itself.

use catalog::{CalendarAttribute, Catalog, Ident, Origin, Result, Target, qualified};
use ledger::statement::{list, rows_written};
use sqlx::PgConnection;

/// Gives a calendar the dates that these facts refer to and it lacks; how many. Nothing for another target.
pub(crate) async fn fill(
    warehouse: &mut PgConnection,
    catalog: &Catalog,
    calendar: &Target,
    facts: &[&Target],
) -> Result<u64> {
    match filling(catalog, calendar, facts) {
        Some(statement) => rows_written(warehouse, &format!("cannot fill {}", calendar.name), statement).await,
        None => Ok(0),
    }
}

fn filling(catalog: &Catalog, calendar: &Target, facts: &[&Target]) -> Option<String> {
    let Origin::Calendar(attributes) = &calendar.origin else { return None };
    let schema = &catalog.warehouse.schema;
    let days = facts.iter().flat_map(|fact| {
        let columns = fact.references().filter(|(_, to)| to.dimension == calendar.name);
        columns.map(|(column, _)| {
            format!("SELECT f.{} AS day FROM {} AS f", column.name.sql(), qualified(schema, &fact.name))
        })
    });
    let days: Vec<String> = days.collect();
    if days.is_empty() {
        return None;
    }
    let columns = calendar.columns.iter().map(|column| &column.name);
    let said: Vec<&str> = attributes.iter().map(|attribute| said(*attribute)).collect();
    let same_key: Vec<String> = calendar.key.iter().map(|key: &Ident| format!("k.{} = d.day", key.sql())).collect();
    let table = qualified(schema, &calendar.name);
    Some(format!(
        "INSERT INTO {table} ({columns})
SELECT {said}
  FROM ({days}) AS d
 WHERE isfinite(d.day) AND NOT EXISTS (SELECT FROM {table} AS k WHERE {same_key})",
        columns = list(columns),
        said = said.join(", "),
        days = days.join(" UNION "),
        same_key = same_key.join(" AND "),
    ))
}

/// What an attribute says of `d.day`, as `transform` says it.
fn said(attribute: CalendarAttribute) -> &'static str {
    match attribute {
        CalendarAttribute::Date => "d.day",
        // Postgres has no year 0.
        CalendarAttribute::Year => "extract(year FROM d.day)::integer + (d.day < '0001-01-01')::integer",
        CalendarAttribute::Month => "extract(month FROM d.day)::integer",
        CalendarAttribute::Day => "extract(day FROM d.day)::integer",
        CalendarAttribute::DayOfWeek => "extract(isodow FROM d.day)::integer",
        CalendarAttribute::DayName => "to_char(d.day, 'FMDay')",
        CalendarAttribute::MonthName => "to_char(d.day, 'FMMonth')",
        CalendarAttribute::Quarter => "extract(quarter FROM d.day)::integer",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_calendar_is_filled_with_the_dates_of_facts() {
        let text = "[pipeline]\nname = 'p'\n[source.tables.t]\nkey = 'id'\ncapture = 'changes'\n\
                    columns = { id = 'integer', a = 'date null', b = 'date' }\n\
                    [dimensions.c]\ncalendar = true\ncolumns = { day = { calendar = 'date' }, \"the year\" = { calendar = 'year' } }\n\
                    [facts.f]\nfrom = 't'\nsurrogate_key = 'n'\n[facts.f.columns]\nid = 'id'\n\
                    a = { from = 'a', references = 'c' }\n\"b \" = { from = 'b', references = 'c' }\n";
        let catalog = Catalog::parse("p", text).unwrap_or_else(|problems| panic!("{problems}"));
        let [calendar, fact] = &catalog.warehouse.targets[..] else { panic!("two targets") };
        expect![[r#"
            INSERT INTO "public"."c" ("day", "the year")
            SELECT d.day, extract(year FROM d.day)::integer + (d.day < '0001-01-01')::integer
              FROM (SELECT f."a" AS day FROM "public"."f" AS f UNION SELECT f."b " AS day FROM "public"."f" AS f) AS d
             WHERE isfinite(d.day) AND NOT EXISTS (SELECT FROM "public"."c" AS k WHERE k."day" = d.day)"#]]
        .assert_eq(&filling(&catalog, calendar, &[fact]).expect("it has dates"));
        assert_eq!((filling(&catalog, calendar, &[]), filling(&catalog, fact, &[fact])), (None, None));
    }
}
