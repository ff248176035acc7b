//! One record of the origin → one row of the target, or the reason why not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use catalog::manifest::Reject;
use catalog::{ROW_VERSION, ValueType, Window};
use columnar::csv::{CsvError, Record};
use columnar::{Cell, ValueError};

use crate::lookup::Lookup;
use crate::program::{ColumnProgram, Input, Program};
use crate::word;

pub(crate) struct RowMaker<'m> {
    pub(crate) program: &'m Program<'m>,
    pub(crate) lookups: &'m [Lookup],
    /// Rows written in it are brought again by the next batch.
    pub(crate) window: Window,
    /// The key of the part that the records are of.
    pub(crate) part: &'m str,
}

/// What became of a record.
pub(crate) enum Verdict {
    /// A row.
    Row,
    /// What it looks up was read before it was there; the next batch brings it again.
    Deferred,
    /// The warehouse cannot take it.
    Rejected(Reject),
}

/// Why a record makes no row.
enum Trouble {
    Missing(Reason),
    Bad(Reason),
    Damaged(CsvError),
}

/// Why a row is rejected.
struct Reason {
    /// With the value: for the reject table.
    whole: String,
    /// Without it: for messages.
    told: String,
}

impl Reason {
    /// One that needs no value.
    fn plain(told: String) -> Self {
        Self { whole: told.clone(), told }
    }

    fn of(name: &str, error: &ValueError) -> Self {
        Self { whole: format!("{name}: {}", error.quoting()), told: format!("{name} {error}") }
    }
}

impl From<CsvError> for Trouble {
    fn from(error: CsvError) -> Self {
        Self::Damaged(error)
    }
}

impl RowMaker<'_> {
    /// Fills `row` with the program's columns and the row's transaction id.
    pub(crate) fn make<'r>(&'r self, record: &Record<'r>, row: &mut Vec<Cell<'r>>) -> Result<Verdict, CsvError> {
        let version = self.version(record)?;
        row.clear();
        match self.fill(record, row) {
            Ok(()) => {
                row.push(version.map_or(Cell::Null, |version| Cell::Int(version.into())));
                Ok(Verdict::Row)
            }
            Err(Trouble::Missing(_)) if version.is_some_and(|version| self.window.holds(version)) => {
                Ok(Verdict::Deferred)
            }
            Err(Trouble::Missing(reason) | Trouble::Bad(reason)) => Ok(Verdict::Rejected(self.reject(record, reason)?)),
            Err(Trouble::Damaged(error)) => Err(error),
        }
    }

    /// The record's last field; a view has none.
    fn version(&self, record: &Record<'_>) -> Result<Option<u32>, CsvError> {
        let Some(text) = record.text(self.program.table.columns.len())? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| CsvError {
            line: record.line(),
            what: format!("its field {ROW_VERSION} is no transaction id"),
        })
    }

    fn fill<'r>(&'r self, record: &Record<'r>, row: &mut Vec<Cell<'r>>) -> Result<(), Trouble> {
        let mut cells: Vec<Cell<'r>> = Vec::with_capacity(self.program.fields.len());
        for field in &self.program.fields {
            cells.push(read(field.name.as_str(), field.value, record.text(field.place)?)?);
        }
        let mut looked_up: Vec<Option<&'r [Option<String>]>> = Vec::with_capacity(self.lookups.len());
        for (join, lookup) in self.program.joins.iter().zip(self.lookups) {
            looked_up.push(match record.text(join.on_place)? {
                None => None,
                Some(key) => match lookup.get(&key) {
                    Some(fields) => Some(fields),
                    None => {
                        let (on, table) = (join.on, &join.table.name);
                        let (whole, told) =
                            (format!("{on} {key} is not in {table}"), format!("{on} is not in {table}"));
                        return Err(Trouble::Missing(Reason { whole, told }));
                    }
                },
            });
        }
        for column in &self.program.columns {
            let cell = match column.input {
                Input::Origin(field) => apply(column, &cells[field])?,
                Input::Join(join, index) => {
                    let field = &self.program.joins[join].fields[index];
                    let text = looked_up[join].and_then(|fields| fields[index].as_deref());
                    apply(column, &read(field.name.as_str(), field.value, text.map(Cow::Borrowed))?)?
                }
            };
            let cell = match (cell, &column.if_null) {
                (Cell::Null, Some(constant)) => constant.clone(),
                (Cell::Null, None) if !column.nullable => {
                    return Err(Trouble::Bad(Reason::plain(format!("{} is null", column.name))));
                }
                (cell, _) => cell,
            };
            let refused = column.limit.zip(cell.text()).and_then(|(limit, text)| limit.refuses(text));
            if let Some(what) = refused {
                return Err(Trouble::Bad(Reason::plain(format!("{} {what}", column.name))));
            }
            row.push(cell);
        }
        Ok(())
    }

    fn reject(&self, record: &Record<'_>, reason: Reason) -> Result<Reject, CsvError> {
        let columns = &self.program.table.columns;
        let text = |place: &usize| -> Result<Option<String>, CsvError> {
            let text = record.text(*place)?;
            Ok(text.map(|text| columnar::printed(columns[*place].value, text)))
        };
        let key = self.program.key.iter().map(text).collect::<Result<_, _>>()?;
        let mut row = BTreeMap::new();
        for (place, column) in columns.iter().enumerate() {
            row.insert(column.name.to_string(), record.text(place)?.map(Cow::into_owned));
        }
        let place = format!("line {} of {}", record.line(), self.part);
        Ok(Reject { key, reason: reason.whole, told: reason.told, place, row })
    }
}

fn read<'r>(name: &str, value: ValueType, text: Option<Cow<'r, str>>) -> Result<Cell<'r>, Trouble> {
    match text {
        None => Ok(Cell::Null),
        Some(text) => columnar::parse(value, text).map_err(|error| Trouble::Bad(Reason::of(name, &error))),
    }
}

fn apply<'r>(column: &ColumnProgram<'_>, cell: &Cell<'r>) -> Result<Cell<'r>, Trouble> {
    word::evaluate(column.word, cell).map_err(|error| Trouble::Bad(Reason::of(column.name.as_str(), &error)))
}
