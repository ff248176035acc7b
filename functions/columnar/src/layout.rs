//! How each type is stored in a column and packed for Postgres: the one place that says it of all of them.

use arrow2::array::{
    Array, BooleanArray, MutableArray, MutableBooleanArray, MutablePrimitiveArray, MutableUtf8Array, PrimitiveArray,
    TryPush, Utf8Array,
};
use arrow2::datatypes::{DataType, TimeUnit};
use catalog::ValueType;
use chrono::{DateTime, NaiveDate};

use crate::cell::{Cell, decimal_text};

/// How a type is stored and packed.
pub(crate) struct Layout {
    /// How Parquet declares it: what pyarrow, DuckDB and every other reader shows.
    pub(crate) declared: DataType,
    /// What of it Postgres wants to see.
    pub(crate) packed: Packed,
}

/// A form of Postgres' binary COPY; it decides the array that values are collected in.
#[derive(Clone, Copy)]
pub(crate) enum Packed {
    I16,
    I32,
    I64,
    F32,
    F64,
    Bool,
    /// Days, which Postgres counts from another day.
    Date,
    /// Microseconds, which Postgres counts from another day.
    Timestamp,
    /// With so many digits behind the point.
    Numeric(u8),
    Text,
    Uuid,
    Jsonb,
}

impl Layout {
    /// The table. No wildcard: a new type has to say both.
    pub(crate) fn of(value: ValueType) -> Self {
        let (declared, packed) = match value {
            ValueType::SmallInt => (DataType::Int16, Packed::I16),
            ValueType::Integer => (DataType::Int32, Packed::I32),
            ValueType::BigInt => (DataType::Int64, Packed::I64),
            ValueType::Numeric { precision, scale } => {
                (DataType::Decimal(precision.into(), scale.into()), Packed::Numeric(scale))
            }
            ValueType::Real => (DataType::Float32, Packed::F32),
            ValueType::Double => (DataType::Float64, Packed::F64),
            ValueType::Boolean => (DataType::Boolean, Packed::Bool),
            ValueType::Text => (DataType::Utf8, Packed::Text),
            ValueType::Date => (DataType::Date32, Packed::Date),
            // A time of day is microseconds here and there.
            ValueType::Time => (DataType::Time64(TimeUnit::Microsecond), Packed::I64),
            ValueType::Timestamp => (DataType::Timestamp(TimeUnit::Microsecond, None), Packed::Timestamp),
            ValueType::TimestampTz => {
                (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".to_owned())), Packed::Timestamp)
            }
            ValueType::Uuid => (DataType::Utf8, Packed::Uuid),
            // Its binary form is its text.
            ValueType::Json => (DataType::Utf8, Packed::Text),
            ValueType::JsonB => (DataType::Utf8, Packed::Jsonb),
        };
        Self { declared, packed }
    }

    /// A value of a column of the type, for people.
    pub(crate) fn text(self, array: &dyn Array, row: usize) -> Option<String> {
        fn at<T: arrow2::types::NativeType>(array: &dyn Array, row: usize) -> Option<T> {
            array.as_any().downcast_ref::<PrimitiveArray<T>>().map(|array| array.value(row))
        }
        match self.packed {
            Packed::I16 => at::<i16>(array, row).map(|number| number.to_string()),
            Packed::I32 => at::<i32>(array, row).map(|number| number.to_string()),
            Packed::I64 => at::<i64>(array, row).map(|number| number.to_string()),
            Packed::F32 => at::<f32>(array, row).map(|number| number.to_string()),
            Packed::F64 => at::<f64>(array, row).map(|number| number.to_string()),
            Packed::Bool => array.as_any().downcast_ref::<BooleanArray>().map(|array| array.value(row).to_string()),
            Packed::Date => at::<i32>(array, row).and_then(NaiveDate::from_epoch_days).map(|date| date.to_string()),
            Packed::Timestamp => at::<i64>(array, row)
                .and_then(DateTime::from_timestamp_micros)
                .map(|timestamp| timestamp.naive_utc().to_string()),
            Packed::Numeric(scale) => at::<i128>(array, row).map(|unscaled| decimal_text(unscaled, scale)),
            Packed::Text | Packed::Uuid | Packed::Jsonb => {
                array.as_any().downcast_ref::<Utf8Array<i32>>().map(|array| array.value(row).to_owned())
            }
        }
    }

    /// An empty column of the type.
    pub(crate) fn builder(self) -> Builder {
        let of = self.declared;
        match self.packed {
            Packed::I16 => Builder::I16(MutablePrimitiveArray::from(of)),
            Packed::I32 | Packed::Date => Builder::I32(MutablePrimitiveArray::from(of)),
            Packed::I64 | Packed::Timestamp => Builder::I64(MutablePrimitiveArray::from(of)),
            Packed::Numeric(_) => Builder::I128(MutablePrimitiveArray::from(of)),
            Packed::F32 => Builder::F32(MutablePrimitiveArray::from(of)),
            Packed::F64 => Builder::F64(MutablePrimitiveArray::from(of)),
            Packed::Bool => Builder::Bool(MutableBooleanArray::new()),
            Packed::Text | Packed::Uuid | Packed::Jsonb => Builder::Text(MutableUtf8Array::new()),
        }
    }
}

/// A column being filled.
pub(crate) enum Builder {
    I16(MutablePrimitiveArray<i16>),
    I32(MutablePrimitiveArray<i32>),
    I64(MutablePrimitiveArray<i64>),
    I128(MutablePrimitiveArray<i128>),
    F32(MutablePrimitiveArray<f32>),
    F64(MutablePrimitiveArray<f64>),
    Bool(MutableBooleanArray),
    Text(MutableUtf8Array<i32>),
}

impl Builder {
    /// Adds a cell; `false` when it is of another type.
    pub(crate) fn push(&mut self, cell: &Cell<'_>) -> bool {
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
            (_, Cell::Int(_) | Cell::Decimal(_) | Cell::Float(_) | Cell::Bool(_) | Cell::Text(_)) => false,
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

    pub(crate) fn finish(self) -> Box<dyn Array> {
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
