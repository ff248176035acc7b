//! A target's columns resolved to places: which field of which record, read as what, made into what.

use catalog::{
    ColumnRef, Dates, Derivation, Derived, Error, Fault, Ident, Join, Result, Table, Target, TargetColumn, ValueType,
    Word,
};
use columnar::Cell;

/// What is done for every row of a target's origin.
pub(crate) struct Program<'c> {
    /// The origin's fields that anything is made of: their place in the record, and their type.
    pub(crate) fields: Vec<Field<'c>>,
    /// The lookups.
    pub(crate) joins: Vec<JoinProgram<'c>>,
    /// The columns made, in order.
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
    alias: &'c Ident,
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

pub(crate) struct ColumnProgram<'c> {
    pub(crate) name: &'c Ident,
    pub(crate) input: Input,
    pub(crate) word: Word,
    pub(crate) if_null: Option<Cell<'static>>,
    pub(crate) nullable: bool,
    pub(crate) limit: Option<Limit>,
}

/// What a warehouse column does not hold of the values of its type.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// A longer text. Postgres refuses it, or cuts it where what is too much is blank.
    Chars(usize),
    /// A `json` that is no `jsonb`.
    Jsonb,
}

impl Limit {
    fn of(column: &TargetColumn, derived: &Derived) -> Option<Self> {
        let is_new_jsonb = (derived.of.field.column.value, column.value) == (ValueType::Json, ValueType::JsonB);
        if is_new_jsonb { Some(Self::Jsonb) } else { column.pg_type.max_chars().map(Self::Chars) }
    }

    /// Why the column does not hold a text; `None` where it does.
    pub(crate) fn refuses(self, text: &str) -> Option<String> {
        match self {
            Self::Chars(most) => {
                // A text has no more characters than bytes.
                let count = if text.len() > most { text.chars().count() } else { 0 };
                (count > most).then(|| format!("has {count} characters where the column takes {most}"))
            }
            Self::Jsonb => columnar::refused_by_jsonb(text).map(|what| format!("{what}, which jsonb does not")),
        }
    }
}

impl<'c> Program<'c> {
    /// What makes a target's rows.
    ///
    /// # Errors
    /// `Misconfigured` when a constant is no value of its column.
    pub(crate) fn of_target(target: &'c Target, derivation: &'c Derivation) -> Result<Self> {
        let mut program = Self::without_columns(derivation);
        // One that no column uses is a lookup nevertheless: without it there is no row.
        for join in &derivation.joins {
            program.join(join);
        }
        for (column, derived) in target.columns.iter().zip(&derivation.columns) {
            program.column(target, derivation, column, derived)?;
        }
        Ok(program)
    }

    /// What makes a fact's dates of one calendar: the program of the fact without its other columns.
    ///
    /// # Errors
    /// `Misconfigured` when a constant is no value of its column.
    pub(crate) fn of_dates(dates: &Dates<'c>) -> Result<Self> {
        let mut program = Self::without_columns(dates.derivation);
        for (column, derived) in &dates.columns {
            program.column(dates.fact, dates.derivation, column, derived)?;
        }
        Ok(program)
    }

    fn without_columns(derivation: &'c Derivation) -> Self {
        let key = derivation.table.key.iter().map(|key| key.place).collect();
        Self { fields: Vec::new(), joins: Vec::new(), columns: Vec::new(), key, table: &derivation.table }
    }

    fn column(
        &mut self,
        target: &Target,
        derivation: &'c Derivation,
        column: &'c TargetColumn,
        derived: &'c Derived,
    ) -> Result<()> {
        let if_null = match &column.if_null {
            Some(text) => Some(columnar::parse(column.value, text.clone().into()).map_err(|error| {
                // A constant of the catalogue, and no row's value.
                let what = format!("if_null of {}.{}: {}", target.name, column.name, error.quoting());
                Error::new(Fault::Misconfigured, what)
            })?),
            None => None,
        };
        let input = self.input(derivation, &derived.of);
        let (word, nullable) = (derived.word, column.nullable);
        let limit = Limit::of(column, derived);
        self.columns.push(ColumnProgram { name: &column.name, input, word, if_null, nullable, limit });
        Ok(())
    }

    fn input(&mut self, derivation: &'c Derivation, of: &'c ColumnRef) -> Input {
        let field = Field::of(&of.field);
        match of.join {
            None => Input::Origin(remember(&mut self.fields, field)),
            Some(place) => {
                let join = self.join(&derivation.joins[place]);
                Input::Join(join, remember(&mut self.joins[join].fields, field))
            }
        }
    }

    /// The place of a lookup in the program, which has it from now on.
    fn join(&mut self, join: &'c Join) -> usize {
        self.joins.iter().position(|known| *known.alias == join.alias).unwrap_or_else(|| {
            self.joins.push(JoinProgram::new(join));
            self.joins.len() - 1
        })
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
            alias: &join.alias,
            table: &join.table,
            on: &join.on.column.name,
            on_place: join.on.place,
            key_place: join.key.place,
            fields: Vec::new(),
        }
    }
}

fn remember<'c>(fields: &mut Vec<Field<'c>>, field: Field<'c>) -> usize {
    fields.iter().position(|known| known.place == field.place).unwrap_or_else(|| {
        fields.push(field);
        fields.len() - 1
    })
}
