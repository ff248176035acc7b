//! Binary COPY: the cheapest way into Postgres, which neither parses nor converts a thing.
//!
//! The format is in Postgres' manual under COPY, "Binary Format"; each type's in its `_recv` function.

use arrow2::array::{Array, BooleanArray, PrimitiveArray, Utf8Array};
use catalog::ValueType;

use crate::layout::{Layout, Packed};
use crate::rows::{Chunk, Schema};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Days from 1970-01-01 to 2000-01-01, from which Postgres counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 86_400_000_000 * EPOCH_DAYS as i64;
const NULL: i32 = -1;

/// A value that Postgres has no form for.
#[derive(Debug, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct EncodeError {
    /// Its name.
    pub column: String,
    /// Why.
    pub what: String,
}

/// What begins the stream.
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]); // flags, length of the header's extension
}

/// What ends the stream.
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}

/// Writes rows `rows` of the chunk to `out`.
///
/// # Errors
/// When the chunk is not of that schema, or a date is beyond Postgres' range.
pub fn encode(
    schema: &Schema,
    chunk: &Chunk,
    rows: std::ops::Range<usize>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let columns = typed(schema, chunk)?;
    let count = i16::try_from(columns.len()).map_err(|_| error("*", "there are more than 32767 columns"))?;
    for row in rows {
        out.extend_from_slice(&count.to_be_bytes());
        for (column, name) in columns.iter().zip(&schema.0) {
            column.encode(row, out).map_err(|what| error(&name.name, what))?;
        }
    }
    Ok(())
}

fn error(column: &str, what: impl Into<String>) -> EncodeError {
    EncodeError { column: column.to_owned(), what: what.into() }
}

/// The arrays of a chunk by what Postgres wants of them.
enum Typed<'a> {
    I16(&'a PrimitiveArray<i16>),
    I32(&'a PrimitiveArray<i32>),
    I64(&'a PrimitiveArray<i64>),
    F32(&'a PrimitiveArray<f32>),
    F64(&'a PrimitiveArray<f64>),
    Bool(&'a BooleanArray),
    Date(&'a PrimitiveArray<i32>),
    Timestamp(&'a PrimitiveArray<i64>),
    Numeric(&'a PrimitiveArray<i128>, u8),
    Text(&'a Utf8Array<i32>),
    Uuid(&'a Utf8Array<i32>),
    Jsonb(&'a Utf8Array<i32>),
}

fn typed<'a>(schema: &Schema, chunk: &'a Chunk) -> Result<Vec<Typed<'a>>, EncodeError> {
    if schema.0.len() != chunk.0.arrays().len() {
        return Err(error("*", "the rows have another number of columns"));
    }
    let pairs = schema.0.iter().zip(chunk.0.arrays());
    pairs
        .map(|(column, array)| {
            of(column.value, array.as_ref()).ok_or_else(|| error(&column.name, "is of another type"))
        })
        .collect()
}

fn of(value: ValueType, array: &dyn Array) -> Option<Typed<'_>> {
    fn cast<T: 'static>(array: &dyn Array) -> Option<&T> {
        array.as_any().downcast_ref()
    }
    match Layout::of(value).packed {
        Packed::I16 => cast(array).map(Typed::I16),
        Packed::I32 => cast(array).map(Typed::I32),
        Packed::I64 => cast(array).map(Typed::I64),
        Packed::F32 => cast(array).map(Typed::F32),
        Packed::F64 => cast(array).map(Typed::F64),
        Packed::Bool => cast(array).map(Typed::Bool),
        Packed::Date => cast(array).map(Typed::Date),
        Packed::Timestamp => cast(array).map(Typed::Timestamp),
        Packed::Numeric(scale) => cast(array).map(|array| Typed::Numeric(array, scale)),
        Packed::Text => cast(array).map(Typed::Text),
        Packed::Uuid => cast(array).map(Typed::Uuid),
        Packed::Jsonb => cast(array).map(Typed::Jsonb),
    }
}

impl Typed<'_> {
    fn array(&self) -> &dyn Array {
        match self {
            Self::I16(array) => *array,
            Self::I32(array) | Self::Date(array) => *array,
            Self::I64(array) | Self::Timestamp(array) => *array,
            Self::F32(array) => *array,
            Self::F64(array) => *array,
            Self::Bool(array) => *array,
            Self::Numeric(array, _) => *array,
            Self::Text(array) | Self::Uuid(array) | Self::Jsonb(array) => *array,
        }
    }

    fn encode(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.array().is_null(row) {
            out.extend_from_slice(&NULL.to_be_bytes());
            return Ok(());
        }
        match self {
            Self::I16(array) => field(out, array.value(row).to_be_bytes()),
            Self::I32(array) => field(out, array.value(row).to_be_bytes()),
            Self::I64(array) => field(out, array.value(row).to_be_bytes()),
            Self::F32(array) => field(out, array.value(row).to_be_bytes()),
            Self::F64(array) => field(out, array.value(row).to_be_bytes()),
            Self::Bool(array) => field(out, [u8::from(array.value(row))]),
            Self::Date(array) => {
                let days = array.value(row).checked_sub(EPOCH_DAYS).ok_or("the date is out of range")?;
                field(out, days.to_be_bytes());
            }
            Self::Timestamp(array) => {
                let micros = array.value(row).checked_sub(EPOCH_MICROS).ok_or("the timestamp is out of range")?;
                field(out, micros.to_be_bytes());
            }
            Self::Numeric(array, scale) => numeric(out, array.value(row), *scale),
            Self::Text(array) => long_field(out, &[], array.value(row))?,
            // The version byte of jsonb's binary form.
            Self::Jsonb(array) => long_field(out, &[1], array.value(row))?,
            Self::Uuid(array) => field(out, uuid(array.value(row)).ok_or("is no UUID")?),
        }
        Ok(())
    }
}

fn field<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    const { assert!(N <= 16, "fixed-width fields alone") };
    #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
    out.extend_from_slice(&[0, 0, 0, N as u8]);
    out.extend_from_slice(&bytes);
}

fn long_field(out: &mut Vec<u8>, before: &[u8], text: &str) -> Result<(), String> {
    let length = i32::try_from(before.len() + text.len()).map_err(|_| "the value is over 2 GiB")?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(before);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Postgres' numeric: groups of four decimal digits, aligned at the decimal point.
fn numeric(out: &mut Vec<u8>, value: i128, scale: u8) {
    let mut groups = [0_u16; 11]; // 38 digits, with the partial groups at both ends
    let mut count = 0;
    let mut rest = value.unsigned_abs();
    let mut take = |rest: &mut u128, modulus: u128, factor: u128| {
        #[expect(clippy::cast_possible_truncation, reason = "below 10000")]
        let group = ((*rest % modulus) * factor) as u16;
        *rest /= modulus;
        groups[count] = group;
        count += 1;
    };
    let partial = u32::from(scale) % 4;
    if partial > 0 {
        take(&mut rest, 10_u128.pow(partial), 10_u128.pow(4 - partial));
    }
    while rest > 0 {
        take(&mut rest, 10_000, 1);
    }
    // Groups were taken from the least significant end; leading zeros (all of a zero) are left out.
    while count > 0 && groups[count - 1] == 0 {
        count -= 1;
    }
    let small = |number: usize| u16::try_from(number).unwrap_or_default();
    let weight = if count == 0 { 0 } else { small(count).wrapping_sub(u16::from(scale.div_ceil(4))).wrapping_sub(1) };
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    out.extend_from_slice(&(8 + 2 * u32::from(small(count))).to_be_bytes());
    for word in [small(count), weight, sign, u16::from(scale)] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for group in groups[..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut nibbles = text.bytes().filter(|byte| *byte != b'-').map(|byte| char::from(byte).to_digit(16));
    for byte in &mut bytes {
        *byte = u8::try_from(nibbles.next()?? * 16 + nibbles.next()??).ok()?;
    }
    nibbles.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of `numeric_send`, read as Postgres reads it.
    fn shown(value: i128, scale: u8) -> String {
        let mut out = Vec::new();
        numeric(&mut out, value, scale);
        let words: Vec<i32> = out[4..].chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]).into()).collect();
        assert_eq!(u32::from_be_bytes(out[..4].try_into().unwrap()) as usize, out.len() - 4);
        let (weight, negative, groups) = (words[1], words[2] != 0, &words[4..]);
        let group = |position: i32| {
            let index = weight - position;
            usize::try_from(index).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
        };
        let whole: String = (0..=weight.max(0)).rev().map(|position| format!("{:04}", group(position))).collect();
        let fraction: String = (1..=10).map(|position| format!("{:04}", group(-position))).collect();
        let whole = whole.trim_start_matches('0');
        let point = if scale > 0 { "." } else { "" };
        assert!(fraction[usize::from(scale)..].bytes().all(|byte| byte == b'0'), "digits behind the scale");
        format!(
            "{}{}{point}{}",
            if negative { "-" } else { "" },
            if whole.is_empty() { "0" } else { whole },
            &fraction[..usize::from(scale)]
        )
    }

    #[test]
    fn numerics_are_aligned_at_the_point() {
        for (value, scale, text) in [
            (0, 2, "0.00"),
            (394, 2, "3.94"),
            (-5, 2, "-0.05"),
            (1_000_000, 2, "10000.00"),
            (9_999_999_999, 2, "99999999.99"),
            (1, 0, "1"),
            (10_000, 0, "10000"),
            (1, 9, "0.000000001"),
            (123_456_789, 5, "1234.56789"),
            (10_i128.pow(38) - 1, 37, "9.9999999999999999999999999999999999999"),
            (10_i128.pow(38) - 1, 0, "99999999999999999999999999999999999999"),
            (10_i128.pow(37), 38, "0.10000000000000000000000000000000000000"),
        ] {
            assert_eq!(shown(value, scale), text);
        }
    }

    #[test]
    fn uuids_are_sixteen_bytes() {
        let bytes = uuid("550e8400-e29b-41d4-a716-446655440000").unwrap();
        assert_eq!((bytes[0], bytes[15], bytes[1]), (0x55, 0, 0x0e));
        assert_eq!(uuid("550e8400"), None);
    }
}
