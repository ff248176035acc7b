//! Rows collected into typed columns.

use arrow2::array::Array;
use catalog::ValueType;

use crate::cell::{Cell, ValueError};
use crate::layout::{Builder, Layout};

/// A column of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub value: ValueType,
}

/// Columns in order. Every one takes NULL here; whether the warehouse does is the transform's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(pub Vec<Column>);

impl Schema {
    fn builders(&self) -> Vec<Builder> {
        self.0.iter().map(|column| Layout::of(column.value).builder()).collect()
    }
}

/// Some rows of one schema, column by column.
pub struct Chunk(pub(crate) arrow2::chunk::Chunk<Box<dyn Array>>);

impl Chunk {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value of a column of that type, for people; `None` for NULL.
    #[must_use]
    pub fn text(&self, value: ValueType, column: usize, row: usize) -> Option<String> {
        let array = self.0.arrays().get(column)?.as_ref();
        if row >= array.len() || array.is_null(row) { None } else { Layout::of(value).text(array, row) }
    }
}

/// Rows being collected.
pub struct Rows {
    schema: Schema,
    builders: Vec<Builder>,
    rows: usize,
    text_bytes: usize,
}

impl Rows {
    /// No rows yet.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        let builders = schema.builders();
        Self { schema, builders, rows: 0, text_bytes: 0 }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a cell is not of its column's type, or there are more or fewer than columns; nothing is added then but the
    /// row must not be followed by others.
    pub fn push(&mut self, row: &[Cell<'_>]) -> Result<(), ValueError> {
        if row.len() != self.builders.len() {
            let what = format!("{} cells where {} are wanted", row.len(), self.builders.len());
            return Err(ValueError::new("", what));
        }
        for ((builder, cell), column) in self.builders.iter_mut().zip(row).zip(&self.schema.0) {
            if let Cell::Text(text) = cell {
                self.text_bytes += text.len();
            }
            if !builder.push(cell) {
                let what = format!("does not fit the column {} of {}", column.name, column.value);
                return Err(ValueError::new("", what));
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// How many rows are collected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of text in them: what may grow without the number of rows growing.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The rows collected, and none left.
    #[must_use]
    pub fn take(&mut self) -> Chunk {
        self.rows = 0;
        self.text_bytes = 0;
        let builders = std::mem::replace(&mut self.builders, self.schema.builders());
        Chunk(arrow2::chunk::Chunk::new(builders.into_iter().map(Builder::finish).collect()))
    }
}
