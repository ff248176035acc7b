//! A target's columns resolved to places: which field of which record, read as what, made into what.

use catalog::{ColumnRef, Error, Expression, Fault, Ident, Join, Result, Table, Target, ValueType};
use columnar::Cell;

/// What is done for every row of a target's origin.
pub(crate) struct Program<'c> {
    /// The origin's fields that anything is made of: their place in the record, and their type.
    pub(crate) fields: Vec<Field<'c>>,
    /// The lookups, in the order of the catalogue.
    pub(crate) joins: Vec<JoinProgram<'c>>,
    /// The target's columns, in order.
    pub(crate) columns: Vec<ColumnProgram<'c>>,
    /// Places of the key in the origin's record.
    pub(crate) key: Vec<usize>,
    /// The origin.
    pub(crate) table: &'c Table,
}

/// A field that is read.
pub(crate) struct Field<'c> {
    pub(crate) name: &'c Ident,
    pub(crate) place: usize,
    pub(crate) value: ValueType,
}

/// A lookup.
pub(crate) struct JoinProgram<'c> {
    pub(crate) table: &'c Table,
    /// The origin's column that holds the looked-up key, and its place in the origin's record.
    pub(crate) on: &'c Ident,
    pub(crate) on_place: usize,
    /// Place of the key in the looked-up table's record.
    pub(crate) key_place: usize,
    /// The fields kept of every looked-up row.
    pub(crate) fields: Vec<Field<'c>>,
}

/// Where a column's value is found.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    /// Index into [`Program::fields`].
    Origin(usize),
    /// Indexes into [`Program::joins`] and its fields.
    Join(usize, usize),
}

/// What becomes of it.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Keep,
    DateOf,
    TimeOf,
    TextToDate,
    CurrencyName,
}

pub(crate) struct ColumnProgram<'c> {
    pub(crate) name: &'c Ident,
    pub(crate) input: Input,
    pub(crate) step: Step,
    pub(crate) if_null: Option<Cell<'static>>,
    pub(crate) nullable: bool,
}

impl<'c> Program<'c> {
    /// # Errors
    /// `Misconfigured` when a constant is no value of its column.
    pub(crate) fn compile(table: &'c Table, target: &'c Target) -> Result<Self> {
        let joins = target.joins.iter().map(JoinProgram::new).collect();
        let key = table.key.iter().map(|key| key.place).collect();
        let mut program = Self { fields: Vec::new(), joins, columns: Vec::new(), key, table };
        for column in &target.columns {
            let Some((step, of)) = step(&column.expression) else { continue };
            let if_null = match &column.if_null {
                Some(text) => Some(columnar::parse(column.value, text.clone().into()).map_err(|error| {
                    Error::because(Fault::Misconfigured, format!("if_null of {}.{}", target.name, column.name), error)
                })?),
                None => None,
            };
            let input = program.input(of);
            program.columns.push(ColumnProgram { name: &column.name, input, step, if_null, nullable: column.nullable });
        }
        Ok(program)
    }

    fn input(&mut self, of: &'c ColumnRef) -> Input {
        let field = Field::of(&of.field);
        match of.join {
            None => Input::Origin(remember(&mut self.fields, field)),
            Some(index) => Input::Join(index, remember(&mut self.joins[index].fields, field)),
        }
    }
}

impl<'c> Field<'c> {
    fn of(field: &'c catalog::Field) -> Self {
        Self { name: &field.column.name, place: field.place, value: field.column.value }
    }
}

impl<'c> JoinProgram<'c> {
    fn new(join: &'c Join) -> Self {
        Self {
            table: &join.table,
            on: &join.on.column.name,
            on_place: join.on.place,
            key_place: join.key.place,
            fields: Vec::new(),
        }
    }
}

/// The program of one column on its own: what the calendar does with a fact's dates.
pub(crate) fn date_column(expression: &Expression) -> Option<(Field<'_>, Step)> {
    step(expression).map(|(step, of)| (Field::of(&of.field), step))
}

fn step(expression: &Expression) -> Option<(Step, &ColumnRef)> {
    match expression {
        Expression::Column(of) => Some((Step::Keep, of)),
        Expression::DateOf(of) => Some((Step::DateOf, of)),
        Expression::TimeOf(of) => Some((Step::TimeOf, of)),
        Expression::TextToDate(of) => Some((Step::TextToDate, of)),
        Expression::CurrencyName(of) => Some((Step::CurrencyName, of)),
        Expression::Calendar(_) => None,
    }
}

fn remember<'c>(fields: &mut Vec<Field<'c>>, field: Field<'c>) -> usize {
    fields.iter().position(|known| known.place == field.place).unwrap_or_else(|| {
        fields.push(field);
        fields.len() - 1
    })
}
