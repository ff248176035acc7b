//! A target's columns resolved to places: which field of which record, read as what, made into what.

use catalog::{Catalog, ColumnRef, Error, Expression, Fault, Ident, Join, Result, Table, Target, ValueType};
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
    pub(crate) fn compile(catalog: &'c Catalog, target: &'c Target) -> Result<Self> {
        let catalog::Origin::Table(origin) = &target.origin else {
            return Err(Error::new(Fault::Bug, format!("{} has no origin table", target.name)));
        };
        let table = table(catalog, origin)?;
        let joins = target.joins.iter().map(|join| JoinProgram::new(catalog, table, join)).collect::<Result<_>>()?;
        let key = table.key.iter().map(|key| Ok(field(table, key)?.place)).collect::<Result<_>>()?;
        let mut program = Self { fields: Vec::new(), joins, columns: Vec::new(), key, table };
        for column in &target.columns {
            let (step, of) = step(&column.expression).ok_or_else(|| {
                Error::new(Fault::Bug, format!("{}.{} has no source column", target.name, column.name))
            })?;
            let input = program.input(of)?;
            let if_null = match &column.if_null {
                Some(text) => Some(columnar::parse(column.value, text.clone().into()).map_err(|error| {
                    Error::because(Fault::Misconfigured, format!("if_null of {}.{}", target.name, column.name), error)
                })?),
                None => None,
            };
            program.columns.push(ColumnProgram { name: &column.name, input, step, if_null, nullable: column.nullable });
        }
        Ok(program)
    }

    fn input(&mut self, of: &'c ColumnRef) -> Result<Input> {
        match of.join {
            None => Ok(Input::Origin(remember(&mut self.fields, field(self.table, &of.column)?))),
            Some(index) => {
                let join = self.joins.get_mut(index).ok_or_else(|| Error::new(Fault::Bug, "a column of no join"))?;
                let found = field(join.table, &of.column)?;
                Ok(Input::Join(index, remember(&mut join.fields, found)))
            }
        }
    }
}

impl<'c> JoinProgram<'c> {
    fn new(catalog: &'c Catalog, origin: &Table, join: &'c Join) -> Result<Self> {
        let looked_up = table(catalog, &join.table)?;
        let key = looked_up.key.first().ok_or_else(|| Error::new(Fault::Bug, format!("{} has no key", join.table)))?;
        Ok(Self {
            table: looked_up,
            on: &join.on,
            on_place: field(origin, &join.on)?.place,
            key_place: field(looked_up, key)?.place,
            fields: Vec::new(),
        })
    }
}

/// The program of one column on its own: what the calendar does with a fact's dates.
pub(crate) fn date_column<'c>(table: &'c Table, expression: &'c Expression) -> Result<(Field<'c>, Step)> {
    let (step, of) =
        step(expression).ok_or_else(|| Error::new(Fault::Bug, "a calendar column refers to a calendar"))?;
    Ok((field(table, &of.column)?, step))
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

fn field<'c>(table: &'c Table, name: &Ident) -> Result<Field<'c>> {
    let (place, column) = table
        .column(name.as_str())
        .ok_or_else(|| Error::new(Fault::Bug, format!("{} has no column {name}", table.name)))?;
    Ok(Field { name: &column.name, place, value: column.value })
}

pub(crate) fn table<'c>(catalog: &'c Catalog, name: &Ident) -> Result<&'c Table> {
    catalog.table(name.as_str()).ok_or_else(|| Error::new(Fault::Bug, format!("the catalogue has no table {name}")))
}
