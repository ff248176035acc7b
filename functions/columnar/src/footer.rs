//! The footer of a Parquet file: what it says is checked before anything is made of it.
//!
//! arrow2 calls itself at each column in a column and copies the outermost at each of its leaves, and it allocates the rows that
//! are said to be there: a footer of a few kilobytes ends the process.

use arrow2::io::parquet::read::schema::parquet_to_arrow_schema;
use arrow2::io::parquet::read::{FileMetaData, ParquetError as Malformed, RowGroupMetaData};
use arrow2::io::parquet::write::{SchemaDescriptor, ThriftFileMetaData};
use parquet_format_safe::thrift::protocol::TCompactInputProtocol;

use crate::parquet::{GROUP_ROWS, ParquetError};

/// The row groups of a file of the schema.
pub(crate) fn read(file: &[u8], wanted: &SchemaDescriptor) -> Result<Vec<RowGroupMetaData>, ParquetError> {
    let footer = footer(file).ok_or_else(|| malformed("a Parquet file ends with its footer"))?;
    // As arrow2 has it: what is read of it is not much larger than it.
    let mut bytes = TCompactInputProtocol::new(footer, footer.len() * 2 + 1024);
    let metadata = ThriftFileMetaData::read_from_in_protocol(&mut bytes).map_err(malformed)?;
    if metadata.schema.iter().skip(1).any(|column| column.num_children.is_some_and(|children| children > 0)) {
        return Err(ParquetError::refused("its columns have columns".to_owned()));
    }
    let metadata = FileMetaData::try_from_thrift(metadata).map_err(malformed)?;
    let found = metadata.schema();
    if found.columns() != wanted.columns() {
        let what = format!("its columns are {}, not {}", names(found), names(wanted));
        return Err(ParquetError::refused(what));
    }
    check(&metadata.row_groups, file.len())?;
    Ok(metadata.row_groups)
}

/// The bytes of the footer: its length and four letters follow it.
fn footer(file: &[u8]) -> Option<&[u8]> {
    let (file, length) = file.strip_suffix(b"PAR1")?.split_last_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    file.get(file.len().checked_sub(length)?..)
}

fn names(schema: &SchemaDescriptor) -> String {
    let fields = parquet_to_arrow_schema(schema.fields()).into_iter();
    fields.map(|field| format!("{} {:?}", field.name, field.data_type)).collect::<Vec<_>>().join(", ")
}

/// Whether the groups are such as a writer may write, one behind the other in a file of so many bytes.
fn check(groups: &[RowGroupMetaData], file_bytes: usize) -> Result<(), ParquetError> {
    let mut end = 0;
    for (number, group) in groups.iter().enumerate() {
        let refused = |what: String| Err(ParquetError::refused(format!("its row group {number} {what}")));
        let rows = group.num_rows();
        if rows > GROUP_ROWS {
            return refused(format!("has {rows} rows, more than {GROUP_ROWS}"));
        }
        for column in group.columns() {
            if usize::try_from(column.num_values()) != Ok(rows) {
                return refused(format!("has {rows} rows, a column of it {}", column.num_values()));
            }
            let (start, length) = column.byte_range();
            match start.checked_add(length) {
                Some(after) if start >= end && after <= file_bytes as u64 => end = after,
                _ => return refused(format!("has a column at byte {start} of {length} bytes, which cannot be there")),
            }
        }
    }
    Ok(())
}

fn malformed(error: impl ToString) -> ParquetError {
    arrow2::error::Error::from(Malformed::OutOfSpec(error.to_string())).into()
}

#[cfg(test)]
mod tests {
    use catalog::ValueType;

    use crate::parquet::{GROUP_ROWS, Reader, Writer};
    use crate::{Cell, Chunk, Column, Rows, Schema};

    fn schema() -> Schema {
        Schema(vec![Column { name: "text".to_owned(), value: ValueType::Text }])
    }

    fn rows(count: usize) -> Chunk {
        let mut rows = Rows::new(schema());
        for _ in 0..count {
            rows.push(&[Cell::Null]).unwrap();
        }
        rows.take()
    }

    /// Why the reader refuses the file.
    fn why_not(file: &[u8]) -> String {
        let error = Reader::new(file, &schema()).err().expect("it is refused");
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    }

    fn with_footer(file: &[u8], footer: &[u8]) -> Vec<u8> {
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        [file, footer, &length, b"PAR1"].concat()
    }

    /// The file with something else wherever that stands in its footer.
    fn forged(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let footer = super::footer(file).unwrap();
        let (mut changed, mut at) = (Vec::new(), 0);
        while at < footer.len() {
            let found = footer[at..].starts_with(from);
            changed.extend_from_slice(if found { to } else { &footer[at..=at] });
            at += if found { from.len() } else { 1 };
        }
        with_footer(&file[..file.len() - 8 - footer.len()], &changed)
    }

    #[test]
    fn more_rows_than_a_group_may_hold_are_refused() {
        let mut writer = Writer::new(&schema()).unwrap();
        assert!(writer.write(rows(GROUP_ROWS + 1)).is_err(), "it would not be read");
        writer.write(rows(77)).unwrap();
        let file = writer.finish().unwrap();
        // Eighty-five billion wherever seventy-seven are said, numbers of 64 bits as Thrift has them.
        let (said, lie) = ([0x16, 0x9A, 0x01], [0x16, 0x80, 0xC8, 0xA8, 0xA6, 0xF9, 0x04]);
        assert!(why_not(&forged(&file, &said, &lie)).contains("85000000000 rows, more than 65536"));
        // Seventy-six in the group alone, which is said last.
        let (said, lie) = ([0x16, 0x9A, 0x01, 0x26], [0x16, 0x98, 0x01, 0x26]);
        assert!(why_not(&forged(&file, &said, &lie)).contains("has 76 rows, a column of it 77"));
    }

    #[test]
    fn a_column_that_is_not_in_the_file_or_where_another_is_is_refused() {
        let mut writer = Writer::new(&schema()).unwrap();
        for _ in 0..2 {
            writer.write(rows(1)).unwrap();
        }
        let file = writer.finish().unwrap();
        // Where a column begins is said before its statistics; the first begins at byte 4, and nothing else does.
        let far = forged(&file, &[0x26, 0x08, 0x3C], &[0x26, 0xFE, 0xFF, 0xFF, 0x01, 0x3C]);
        assert!(why_not(&far).contains("row group 0 has a column at byte 2097151 "), "{}", why_not(&far));
        let footer = super::footer(&file).unwrap();
        let second = footer.windows(4).find(|bytes| bytes[0] == 0x26 && bytes[3] == 0x3C).unwrap();
        let twice = forged(&file, second, &[0x26, 0x08, 0x3C]);
        assert!(why_not(&twice).contains("row group 1 has a column at byte 4 "), "{}", why_not(&twice));
    }

    /// arrow2 calls itself at each, and copies all at each leaf.
    #[test]
    fn columns_in_columns_are_refused() {
        let root = [0x48, 1, b'r', 0x15, 2, 0];
        let (one_in_it, leaf) = ([0x35, 2, 0x18, 1, b'a', 0x15, 2, 0], [0x15, 2, 0x25, 2, 0x18, 1, b'a', 0]);
        let deep = [root.as_slice(), &one_in_it.repeat(16_382), &leaf].concat();
        let thousands_in_it = [0x35, 2, 0x18, 1, b'a', 0x15, 0xFC, 0xFF, 1, 0];
        let wide = [root.as_slice(), &thousands_in_it, &leaf.repeat(16_382)].concat();
        for columns in [deep, wide] {
            // The version, as many columns as 16,384, no rows and no groups.
            let footer =
                [&[0x15, 2, 0x19, 0xFC, 0x80, 0x80, 1], columns.as_slice(), &[0x16, 0, 0x19, 0x0C, 0]].concat();
            assert_eq!(why_not(&with_footer(b"PAR1", &footer)), "its columns have columns");
        }
    }
}
