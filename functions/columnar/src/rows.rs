//! Rows collected into typed columns.

use arrow2::array::{Array, MutableArray, MutableBooleanArray, MutablePrimitiveArray, MutableUtf8Array, TryPush};
use arrow2::datatypes::{DataType, TimeUnit};
use catalog::ValueType;

use crate::cell::{Cell, ValueError};

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
}

/// Rows being collected.
pub struct Rows {
    schema: Schema,
    builders: Vec<Builder>,
    rows: usize,
    text_bytes: usize,
}

enum Builder {
    I16(MutablePrimitiveArray<i16>),
    I32(MutablePrimitiveArray<i32>),
    I64(MutablePrimitiveArray<i64>),
    I128(MutablePrimitiveArray<i128>),
    F32(MutablePrimitiveArray<f32>),
    F64(MutablePrimitiveArray<f64>),
    Bool(MutableBooleanArray),
    Text(MutableUtf8Array<i32>),
}

impl Rows {
    /// No rows yet.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        let builders = schema.0.iter().map(|column| Builder::new(column.value)).collect();
        Self { schema, builders, rows: 0, text_bytes: 0 }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a cell is not of its column's type, or there are more or fewer than columns; nothing is added then but the
    /// row must not be followed by others.
    pub fn push(&mut self, row: &[Cell<'_>]) -> Result<(), ValueError> {
        if row.len() != self.builders.len() {
            let what = format!("cells where {} are wanted", self.builders.len());
            return Err(ValueError { text: row.len().to_string(), what });
        }
        for ((builder, cell), column) in self.builders.iter_mut().zip(row).zip(&self.schema.0) {
            if let Cell::Text(text) = cell {
                self.text_bytes += text.len();
            }
            if !builder.push(cell) {
                let what = format!("does not fit the column {} of {}", column.name, column.value);
                return Err(ValueError { text: format!("{cell:?}"), what });
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
        let fresh = self.schema.0.iter().map(|column| Builder::new(column.value)).collect();
        let builders = std::mem::replace(&mut self.builders, fresh);
        Chunk(arrow2::chunk::Chunk::new(builders.into_iter().map(Builder::finish).collect()))
    }
}

impl Builder {
    fn new(value: ValueType) -> Self {
        let of = data_type(value);
        match value {
            ValueType::SmallInt => Self::I16(MutablePrimitiveArray::from(of)),
            ValueType::Integer | ValueType::Date => Self::I32(MutablePrimitiveArray::from(of)),
            ValueType::BigInt | ValueType::Time | ValueType::Timestamp | ValueType::TimestampTz => {
                Self::I64(MutablePrimitiveArray::from(of))
            }
            ValueType::Numeric { .. } => Self::I128(MutablePrimitiveArray::from(of)),
            ValueType::Real => Self::F32(MutablePrimitiveArray::from(of)),
            ValueType::Double => Self::F64(MutablePrimitiveArray::from(of)),
            ValueType::Boolean => Self::Bool(MutableBooleanArray::new()),
            ValueType::Text | ValueType::Uuid | ValueType::Json => Self::Text(MutableUtf8Array::new()),
        }
    }

    /// Adds a cell; `false` when it is of another type.
    fn push(&mut self, cell: &Cell<'_>) -> bool {
        match (self, cell) {
            (Self::I32(array), Cell::Int(value)) => i32::try_from(*value).map(|value| array.push(Some(value))).is_ok(),
            (Self::I64(array), Cell::Int(value)) => {
                array.push(Some(*value));
                true
            }
            (Self::I16(array), Cell::Int(value)) => i16::try_from(*value).map(|value| array.push(Some(value))).is_ok(),
            (Self::I128(array), Cell::Decimal(value)) => {
                array.push(Some(*value));
                true
            }
            (Self::Text(array), Cell::Text(value)) => array.try_push(Some(value.as_ref())).is_ok(),
            (Self::Bool(array), Cell::Bool(value)) => {
                array.push(Some(*value));
                true
            }
            (Self::F64(array), Cell::Float(value)) => {
                array.push(Some(*value));
                true
            }
            (Self::F32(array), Cell::Float(value)) => {
                // The cell holds an f32 that was widened, so narrowing gives it back.
                #[expect(clippy::cast_possible_truncation, reason = "exact: see above")]
                array.push(Some(*value as f32));
                true
            }
            (builder, Cell::Null) => {
                builder.push_null();
                true
            }
            _ => false,
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::I16(array) => array.push(None),
            Self::I32(array) => array.push(None),
            Self::I64(array) => array.push(None),
            Self::I128(array) => array.push(None),
            Self::F32(array) => array.push(None),
            Self::F64(array) => array.push(None),
            Self::Bool(array) => array.push(None),
            Self::Text(array) => array.push::<&str>(None),
        }
    }

    fn finish(self) -> Box<dyn Array> {
        match self {
            Self::I16(mut array) => array.as_box(),
            Self::I32(mut array) => array.as_box(),
            Self::I64(mut array) => array.as_box(),
            Self::I128(mut array) => array.as_box(),
            Self::F32(mut array) => array.as_box(),
            Self::F64(mut array) => array.as_box(),
            Self::Bool(mut array) => array.as_box(),
            Self::Text(mut array) => array.as_box(),
        }
    }
}

/// How a type is stored: what pyarrow, DuckDB and every other reader shows.
pub(crate) fn data_type(value: ValueType) -> DataType {
    match value {
        ValueType::SmallInt => DataType::Int16,
        ValueType::Integer => DataType::Int32,
        ValueType::BigInt => DataType::Int64,
        ValueType::Numeric { precision, scale } => DataType::Decimal(precision.into(), scale.into()),
        ValueType::Real => DataType::Float32,
        ValueType::Double => DataType::Float64,
        ValueType::Boolean => DataType::Boolean,
        ValueType::Text | ValueType::Uuid | ValueType::Json => DataType::Utf8,
        ValueType::Date => DataType::Date32,
        ValueType::Time => DataType::Time64(TimeUnit::Microsecond),
        ValueType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        ValueType::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".to_owned())),
    }
}
