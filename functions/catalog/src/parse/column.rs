//! One column of a dimension or fact: `"staff_id"`, `"department.location"`, or a table with one word of the
//! vocabulary and its attributes.

use std::sync::Arc;

use super::join::JoinDraft;
use super::source::SourceDraft;
use crate::document::{At, Notes, Section};
use crate::model::{CalendarAttribute, ColumnRef, Derived, PgType, Table, TargetColumn, ValueType, Word};
use crate::sql::Ident;

/// What a column may say beside how it comes about.
const ATTRIBUTES: [&str; 3] = ["type", "if_null", "references"];

/// Says how a column comes about; a column has exactly one.
#[derive(Clone, Copy)]
enum Maker {
    Word(Word),
    Calendar,
}

impl Maker {
    fn all() -> impl Iterator<Item = Self> {
        Word::ALL.into_iter().map(Self::Word).chain([Self::Calendar])
    }

    fn name(self) -> &'static str {
        match self {
            Self::Word(word) => word.name(),
            Self::Calendar => "calendar",
        }
    }
}

/// How a column comes about.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Derived(Derived),
    Calendar(CalendarAttribute),
}

/// How a column comes about, and what is known of its values.
struct Made {
    expression: Expression,
    value: ValueType,
    nullable: bool,
    /// Whether the type is known: a mistake may hide it.
    is_clear: bool,
}

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
    pub(super) expression: Expression,
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
        let made = derived(notes, Word::From, &word, scope)?;
        let column = TargetColumn {
            name: name.value.clone(),
            value: made.value,
            pg_type: PgType::of(made.value),
            nullable: made.nullable,
            if_null: None,
            references: None,
            line,
        };
        return Some(ColumnDraft { column, expression: made.expression, references: None });
    };
    let known: Vec<&str> = Maker::all().map(Maker::name).chain(ATTRIBUTES).collect();
    section.only(notes, &known);
    let makers: Vec<Maker> = Maker::all().filter(|maker| section.has(maker.name())).collect();
    let [maker] = makers[..] else {
        let message = if makers.is_empty() { "does not say where its value comes from" } else { "says it twice" };
        let help = format!("use one of {}", Maker::all().map(Maker::name).collect::<Vec<_>>().join(", "));
        notes.add(&section.span, format!("{}.{key} {message}", scope.target), Some(help));
        return None;
    };
    let argument = section.text(notes, maker.name())?;
    let Made { expression, mut value, mut nullable, is_clear } = match maker {
        Maker::Word(word) => derived(notes, word, &argument, scope)?,
        Maker::Calendar => calendar(notes, &argument, scope)?,
    };
    let if_null = section.constant(notes, "if_null");
    if let Some(constant) = &if_null {
        if is_clear && !value.has_constant(&constant.value) {
            notes.add(&constant.span, format!("{:?} is no {value}", constant.value), None);
        }
        nullable = false;
    }
    let pg_type = section.text(notes, "type").and_then(|word| match PgType::parse(&word.value) {
        // The one type that may be another than its value's: from here on the value is what a `jsonb` makes of it.
        Some(pg) if (value, pg.value) == (ValueType::Json, ValueType::JsonB) => {
            value = ValueType::JsonB;
            Some(pg)
        }
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
        value,
        pg_type: pg_type.unwrap_or_else(|| PgType::of(value)),
        nullable,
        if_null: if_null.map(|constant| constant.value),
        references: None,
        line,
    };
    Some(ColumnDraft { column, expression, references })
}

/// `calendar = "quarter"`.
fn calendar(notes: &mut Notes, argument: &At<String>, scope: &Scope<'_>) -> Option<Made> {
    let known = CalendarAttribute::ALL;
    let Some(attribute) = known.into_iter().find(|attribute| attribute.name() == argument.value) else {
        let message = format!("{:?} is nothing a calendar knows", argument.value);
        notes.unknown(&argument.span, message, &argument.value, known.map(CalendarAttribute::name));
        return None;
    };
    if scope.table.is_some() {
        let message = format!("{} comes from a table; only a calendar has calendar columns", scope.target);
        notes.add(&argument.span, message, None);
    }
    let (expression, value) = (Expression::Calendar(attribute), attribute.value());
    Some(Made { expression, value, nullable: false, is_clear: true })
}

/// `date_of = "created_at"`.
fn derived(notes: &mut Notes, word: Word, argument: &At<String>, scope: &Scope<'_>) -> Option<Made> {
    let (of, is_clear) = resolve(notes, argument, scope)?;
    let source = &of.field.column;
    if let Some(reads) = word.row().reads
        && !word.accepts(source.value)
        && is_clear
    {
        let wanted: Vec<String> = reads.iter().map(ToString::to_string).collect();
        let message = format!("{} reads {}, but {} is {}", word.name(), wanted.join(" or "), source.name, source.value);
        notes.add(&argument.span, message, None);
    }
    Some(Made {
        value: word.gives(source.value),
        nullable: nullable(&of, scope),
        is_clear: is_clear || word.row().gives.is_some(),
        expression: Expression::Derived(Derived { word, of }),
    })
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
