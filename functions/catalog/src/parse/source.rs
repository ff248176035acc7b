//! `[source]`: the tables read, their keys, capture and columns.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::{line, sized};
use crate::document::{At, Notes, Section};
use crate::model::{Capture, Field, PgType, Source, SourceColumn, Table, TypeName, ValueType};
use crate::sql::Ident;

const CAPTURES: [(&str, Capture); 2] = [("changes", Capture::Changes), ("snapshot", Capture::Snapshot)];

/// Columns whose type is not known because of a mistake already noted: nothing more is said of them.
type Unclear = HashSet<(Ident, Ident)>;

/// The source as far as it could be read.
pub(super) struct SourceDraft {
    pub(super) source: Source,
    unclear: Unclear,
}

impl SourceDraft {
    /// Whether the type of a column was read, so that more may be said of it.
    pub(super) fn is_clear(&self, table: &Table, column: &SourceColumn) -> bool {
        !self.unclear.contains(&(table.name.clone(), column.name.clone()))
    }

    /// The table that a word names; notes when there is none.
    pub(super) fn find(&self, notes: &mut Notes, word: &At<String>) -> Option<&Arc<Table>> {
        let tables = &self.source.tables;
        let found = tables.iter().find(|table| table.name.as_str() == word.value);
        if found.is_none() {
            let message = format!("{:?} is no source table", word.value);
            notes.unknown(&word.span, message, &word.value, tables.iter().map(|table| table.name.as_str()));
        }
        found
    }
}

pub(super) fn read(notes: &mut Notes, root: &Section<'_>, text: &str) -> Option<SourceDraft> {
    let section = root.required_section(notes, "source", "add [source.tables.<name>] for every table to read")?;
    section.only(notes, &["schema", "lock_timeout", "slice_rows", "tables"]);
    let schema = super::schema(notes, &section);
    let second = Duration::from_secs(1);
    let lock_timeout = section.duration(notes, "lock_timeout", second / 10, second / 10..=300 * second, 10 * second);
    let slice_rows = section.number(notes, "slice_rows", 1..=1_000_000_000, 2_000_000);
    let mut unclear = Unclear::new();
    let mut tables = Vec::new();
    let listed = section.required_section(notes, "tables", "add [source.tables.<name>] for every table to read");
    for (name, entry) in listed.map(|listed| listed.sections(notes)).unwrap_or_default() {
        tables.extend(table(notes, &name, &entry, text, &mut unclear).map(Arc::new));
    }
    Some(SourceDraft { source: Source { schema, lock_timeout, slice_rows, tables }, unclear })
}

fn table(
    notes: &mut Notes,
    name: &At<String>,
    section: &Section<'_>,
    text: &str,
    unclear: &mut Unclear,
) -> Option<Table> {
    section.only(notes, &["key", "capture", "trust_counters", "cursor", "columns", "memory_mb", "timeout_seconds"]);
    let name = notes.ident(name)?;
    let mut columns: Vec<SourceColumn> = Vec::new();
    let listed = section.required_section(notes, "columns", "name the columns to read and their types");
    for word in listed.as_ref().map(Section::names).unwrap_or_default() {
        let Some(column) = notes.ident(&word) else { continue };
        let declared = listed.as_ref().and_then(|listed| listed.text(notes, &word.value));
        let parsed = declared.and_then(|declared| column_type(notes, &declared));
        if parsed.is_none() {
            unclear.insert((name.value.clone(), column.value.clone()));
        }
        let (value, nullable) = parsed.unwrap_or((ValueType::Text, false));
        columns.push(SourceColumn { name: column.value, value, nullable, line: line(text, &column.span) });
    }
    let capture = section
        .required_text(notes, "capture", "\"changes\" for large tables and facts, \"snapshot\" for what is joined")
        .and_then(|word| {
            let found = CAPTURES.iter().find(|(known, _)| *known == word.value).map(|(_, capture)| *capture);
            if found.is_none() {
                let message = format!("{:?} is no way to capture a table", word.value);
                notes.unknown(&word.span, message, &word.value, CAPTURES.map(|(known, _)| known));
            }
            found
        })
        .unwrap_or(Capture::Snapshot);
    let key = key(notes, &name.value, section, &columns);
    let sizing = sized(notes, section, super::WORK);
    let trust_counters = section.flag(notes, "trust_counters").is_some_and(|flag| flag.value);
    let cursor = cursor(notes, &name.value, section, &columns);
    Some(Table {
        name: name.value,
        key,
        capture,
        trust_counters,
        cursor,
        columns,
        sizing,
        line: line(text, &name.span),
    })
}

fn key(notes: &mut Notes, table: &Ident, section: &Section<'_>, columns: &[SourceColumn]) -> Vec<Field> {
    if !section.has("key") {
        let help = "name the column, or the list of columns, that identifies a row".to_owned();
        notes.add(&section.span, format!("[{}] lacks \"key\"", section.path), Some(help));
    }
    let mut key: Vec<Field> = Vec::new();
    for word in section.texts(notes, "key").unwrap_or_default() {
        match columns.iter().enumerate().find(|(_, column)| column.name.as_str() == word.value) {
            None => {
                let message = format!("the key {:?} is no column of {table}", word.value);
                notes.unknown(&word.span, message, &word.value, columns.iter().map(|column| column.name.as_str()));
            }
            Some((_, column)) if column.nullable => {
                notes.add(&word.span, format!("the key {} may not be null", column.name), None);
            }
            Some((place, column)) if key.iter().any(|field| field.place == place) => {
                notes.add(&word.span, format!("the key names {} twice", column.name), None);
            }
            Some((place, column)) => key.push(Field { place, column: column.clone() }),
        }
    }
    key
}

fn cursor(notes: &mut Notes, table: &Ident, section: &Section<'_>, columns: &[SourceColumn]) -> Option<Field> {
    let word = section.text(notes, "cursor")?;
    let Some(place) = columns.iter().position(|column| column.name.as_str() == word.value) else {
        let message = format!("the cursor {:?} is no column of {table}", word.value);
        notes.unknown(&word.span, message, &word.value, columns.iter().map(|column| column.name.as_str()));
        return None;
    };
    let column = &columns[place];
    if !matches!(column.value, ValueType::Date | ValueType::Timestamp | ValueType::TimestampTz) {
        let help = "name the date or time that the application moves with every change".to_owned();
        notes.add(&word.span, format!("the cursor {} is {}", column.name, column.value), Some(help));
        return None;
    }
    Some(Field { place, column: column.clone() })
}

/// `"varchar(3) null"` → (text, nullable).
fn column_type(notes: &mut Notes, declared: &At<String>) -> Option<(ValueType, bool)> {
    let words = declared.value.trim();
    let (name, nullable) = match words.strip_suffix(" null").map(str::trim_end) {
        None => (words, false),
        Some(before) => match before.strip_suffix(" not") {
            Some(name) => (name, false),
            None => (before, true),
        },
    };
    match PgType::parse(name) {
        Some(pg) if pg.is_unconstrained() => {
            let help =
                "say how many digits to carry, for example numeric(38,10); a value with more is rejected".to_owned();
            notes.add(&declared.span, "numeric needs a precision and a scale here", Some(help));
            None
        }
        Some(pg) => Some((pg.value, nullable)),
        None => {
            let base = name.split('(').next().unwrap_or(name);
            notes.unknown(
                &declared.span,
                format!("{name:?} is no type that can be carried"),
                base,
                TypeName::ALL.map(TypeName::name),
            );
            None
        }
    }
}
