//! One column of a dimension or fact: `"staff_id"`, `"department.location"`, or a table with one word of the
//! vocabulary and its attributes.

use std::sync::Arc;

use super::source::SourceDraft;
use super::warehouse::JoinDraft;
use crate::document::{At, Notes, Section};
use crate::model::{CalendarAttribute, ColumnRef, Expression, PgType, Table, TargetColumn, ValueType};
use crate::sql::Ident;

/// The words that say how a column comes about; a column has exactly one.
const VOCABULARY: [&str; 6] = ["from", "date_of", "time_of", "text_to_date", "currency_name", "calendar"];
const ATTRIBUTES: [&str; 9] =
    ["from", "date_of", "time_of", "text_to_date", "currency_name", "calendar", "type", "if_null", "references"];

/// How a column comes about, its type, whether it may be null, and whether the type is known (a mistake may hide it).
type Derived = (Expression, ValueType, bool, bool);

/// What a column of one target may name.
pub(super) struct Scope<'s> {
    pub(super) target: &'s Ident,
    /// `None` for a calendar.
    pub(super) table: Option<&'s Arc<Table>>,
    pub(super) joins: &'s [JoinDraft<'s>],
    pub(super) source: &'s SourceDraft,
}

/// A column as far as one target's section tells: what it refers to is resolved once every target is read.
pub(super) struct ColumnDraft {
    pub(super) column: TargetColumn,
    pub(super) references: Option<At<Ident>>,
}

pub(super) fn read(
    notes: &mut Notes,
    listed: &Section<'_>,
    name: &At<Ident>,
    scope: &Scope<'_>,
    line: usize,
) -> Option<ColumnDraft> {
    let key = name.value.as_str();
    let mut silent = Notes::default();
    let Some(section) = listed.section(&mut silent, key) else {
        let word = listed.text(notes, key)?;
        let (of, _) = resolve(notes, &word, scope)?;
        let value = of.field.column.value;
        let column = TargetColumn {
            name: name.value.clone(),
            value,
            pg_type: PgType::of(value),
            nullable: nullable(&of, scope),
            if_null: None,
            references: None,
            expression: Expression::Column(of),
            line,
        };
        return Some(ColumnDraft { column, references: None });
    };
    section.only(notes, &ATTRIBUTES);
    let words: Vec<&str> = VOCABULARY.into_iter().filter(|word| section.has(word)).collect();
    let [word] = words[..] else {
        let message = if words.is_empty() { "does not say where its value comes from" } else { "says it twice" };
        let help = format!("use one of {}", VOCABULARY.join(", "));
        notes.add(&section.span, format!("{}.{key} {message}", scope.target), Some(help));
        return None;
    };
    let argument = section.text(notes, word)?;
    let (expression, value, mut nullable, is_clear) = expression(notes, word, &argument, scope)?;
    let if_null = section.constant(notes, "if_null");
    if let Some(constant) = &if_null {
        if is_clear && !is_constant_of(value, &constant.value) {
            notes.add(&constant.span, format!("{:?} is no {value}", constant.value), None);
        }
        nullable = false;
    }
    let pg_type = section.text(notes, "type").and_then(|word| match PgType::parse(&word.value) {
        Some(pg) if pg.holds(value) || !is_clear => Some(pg),
        Some(pg) => {
            notes.add(&word.span, format!("{key} is {value}, which a column of {pg} does not hold"), None);
            None
        }
        None => {
            notes.add(&word.span, format!("{:?} is no type that can be carried", word.value), None);
            None
        }
    });
    let references = section.text(notes, "references").and_then(|word| notes.ident(&word));
    let column = TargetColumn {
        name: name.value.clone(),
        expression,
        value,
        pg_type: pg_type.unwrap_or_else(|| PgType::of(value)),
        nullable,
        if_null: if_null.map(|constant| constant.value),
        references: None,
        line,
    };
    Some(ColumnDraft { column, references })
}

fn expression(notes: &mut Notes, word: &str, argument: &At<String>, scope: &Scope<'_>) -> Option<Derived> {
    if word == "calendar" {
        let names = CalendarAttribute::NAMES;
        let Some((_, attribute)) = names.iter().find(|(name, _)| *name == argument.value) else {
            let message = format!("{:?} is nothing a calendar knows", argument.value);
            notes.unknown(&argument.span, message, &argument.value, names.map(|(name, _)| name));
            return None;
        };
        if scope.table.is_some() {
            let message = format!("{} comes from a table; only a calendar has calendar columns", scope.target);
            notes.add(&argument.span, message, None);
        }
        return Some((Expression::Calendar(*attribute), attribute.value(), false, true));
    }
    let (of, is_clear) = resolve(notes, argument, scope)?;
    let source = of.field.column.clone();
    let nullable = nullable(&of, scope);
    let (expression, value, accepts): (_, _, &[ValueType]) = match word {
        "date_of" => (Expression::DateOf(of), ValueType::Date, &[ValueType::Timestamp, ValueType::TimestampTz]),
        "time_of" => (Expression::TimeOf(of), ValueType::Time, &[ValueType::Timestamp, ValueType::TimestampTz]),
        "text_to_date" => (Expression::TextToDate(of), ValueType::Date, &[ValueType::Text]),
        "currency_name" => (Expression::CurrencyName(of), ValueType::Text, &[ValueType::Text]),
        _ => return Some((Expression::Column(of), source.value, nullable, is_clear)),
    };
    if !accepts.contains(&source.value) && is_clear {
        let wanted: Vec<String> = accepts.iter().map(ToString::to_string).collect();
        let message = format!("{word} reads {}, but {} is {}", wanted.join(" or "), source.name, source.value);
        notes.add(&argument.span, message, None);
    }
    Some((expression, value, nullable, true))
}

/// `"column"` of the origin table or `"join.column"`; and whether its type is known.
fn resolve(notes: &mut Notes, word: &At<String>, scope: &Scope<'_>) -> Option<(ColumnRef, bool)> {
    let Some(table) = scope.table else {
        let help = "use calendar = \"date\", \"year\", …".to_owned();
        notes.add(&word.span, format!("{} is a calendar: it has no source columns", scope.target), Some(help));
        return None;
    };
    let (join, table, column) = match word.value.split_once('.') {
        None => (None, table, word.value.as_str()),
        Some((alias, column)) => {
            let found = scope.joins.iter().position(|join| join.alias.as_str() == alias);
            let Some(index) = found else {
                let message = format!("{} joins nothing called {alias:?}", scope.target);
                notes.unknown(&word.span, message, alias, scope.joins.iter().map(|join| join.alias.as_str()));
                return None;
            };
            (Some(index), scope.joins[index].table, column)
        }
    };
    let Some(field) = table.field(column) else {
        let message = format!("{column:?} is no column of {}", table.name);
        notes.unknown(&word.span, message, column, table.columns.iter().map(|column| column.name.as_str()));
        return None;
    };
    let is_clear = scope.source.is_clear(table, &field.column);
    Some((ColumnRef { join, field }, is_clear))
}

fn nullable(of: &ColumnRef, scope: &Scope<'_>) -> bool {
    let by_join = of.join.and_then(|index| scope.joins[index].on.as_ref()).is_some_and(|on| on.column.nullable);
    of.field.column.nullable || by_join
}

/// Whether `text` is how Postgres prints a value of that type. Only the types that a default makes sense for.
fn is_constant_of(value: ValueType, text: &str) -> bool {
    match value {
        ValueType::Text => true,
        ValueType::SmallInt => text.parse::<i16>().is_ok(),
        ValueType::Integer => text.parse::<i32>().is_ok(),
        ValueType::BigInt => text.parse::<i64>().is_ok(),
        ValueType::Boolean => matches!(text, "t" | "f"),
        ValueType::Date => text.parse::<chrono::NaiveDate>().is_ok(),
        ValueType::Numeric { precision, scale } => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            !whole.is_empty()
                && whole.len() <= usize::from(precision - scale).max(1)
                && fraction.len() <= usize::from(scale)
                && format!("{whole}{fraction}").bytes().all(|b| b.is_ascii_digit())
        }
        ValueType::Real
        | ValueType::Double
        | ValueType::Time
        | ValueType::Timestamp
        | ValueType::TimestampTz
        | ValueType::Uuid
        | ValueType::Json => false,
    }
}
