//! The pages of a Parquet file, from its bytes to arrays.
//!
//! arrow2 allocates what lengths in the file say and stops where they say so: a file that lies takes memory without end, and
//! that ends the process, not the call. What is more than a group may hold, or has another form than
//! [`Writer`](crate::parquet::Writer) writes, is refused here before it is decoded.

use arrow2::array::Array;
use arrow2::chunk::Chunk;
use arrow2::datatypes::Field;
use arrow2::io::parquet::read::{
    self, ColumnChunkMetaData, DataPageHeader, FallibleStreamingIterator, Page, PageReader, ParquetError as Malformed,
    PhysicalType, RowGroupMetaData,
};
use arrow2::io::parquet::write::{CompressedPage, Encoding};

use crate::parquet::{GROUP_TEXT_BYTES, PAGE_BYTES, ParquetError};

/// Text of the row with which a group is ended: no message of Postgres is larger.
const ROW_BYTES: usize = 1 << 30;
/// Bytes in a page of a value without its text: 16 at most, and those that a page begins with where it has a single one.
const VALUE_BYTES: usize = 32;

/// The rows of a group of the fields.
pub(crate) fn read(
    file: &[u8],
    group: &RowGroupMetaData,
    fields: &[Field],
) -> Result<Chunk<Box<dyn Array>>, ParquetError> {
    let rows = group.num_rows();
    let array = |(column, field): (&ColumnChunkMetaData, &Field)| {
        let kind = &column.descriptor().descriptor.primitive_type;
        let pages = Pages::new(file, column, rows)?;
        let array =
            read::column_iter_to_arrays(vec![pages], vec![kind], field.clone(), None, rows)?.next().transpose()?;
        match array {
            Some(array) if array.len() == rows => Ok(array),
            _ => Err(ParquetError::refused(format!("its column {} has fewer than {rows} rows", field.name))),
        }
    };
    let arrays = group.columns().iter().zip(fields).map(array).collect::<Result<_, _>>()?;
    Ok(Chunk::try_new(arrays)?)
}

/// The pages of a column of a group, decompressed one by one.
struct Pages<'f> {
    compressed: PageReader<&'f [u8]>,
    page: Option<Page>,
    /// What those to come may hold at most: rows, bytes once decompressed, and how many they may be.
    rows: usize,
    bytes: usize,
    pages: usize,
}

impl<'f> Pages<'f> {
    fn new(file: &'f [u8], column: &ColumnChunkMetaData, rows: usize) -> Result<Self, ParquetError> {
        let (start, length) = column.byte_range();
        let (start, length) = (usize::try_from(start), usize::try_from(length));
        let bytes = file.get(start.unwrap_or(usize::MAX)..).and_then(|bytes| bytes.get(..length.unwrap_or(usize::MAX)));
        let bytes = bytes.ok_or_else(|| ParquetError::refused("a column of it ends beyond it".to_owned()))?;
        // As arrow2 has it: the header of a page is not much larger than its statistics, which are in the file as well.
        let largest = bytes.len() * 2 + 1024;
        let compressed = PageReader::new(bytes, column, std::sync::Arc::new(|_, _| true), Vec::new(), largest);
        let text = column.physical_type() == PhysicalType::ByteArray;
        let bytes = rows * VALUE_BYTES + if text { GROUP_TEXT_BYTES + ROW_BYTES } else { 0 };
        // A page has as many rows as are of `PAGE_BYTES` when all are as long as the mean. arrow2 takes a stack frame for each.
        Ok(Self { compressed, page: None, rows, bytes, pages: 2 * bytes / PAGE_BYTES + 2 })
    }

    /// Counts a page that is about to be decompressed.
    fn admit(&mut self, page: &CompressedPage) -> Result<(), Malformed> {
        let CompressedPage::Data(page) = page else { return refused("a page is a dictionary") };
        let DataPageHeader::V1(_) = page.header() else { return refused("a page is of another version") };
        let left = |left: usize, taken: usize| left.checked_sub(taken);
        let (rows, bytes) = (left(self.rows, page.num_values()), left(self.bytes, page.uncompressed_size()));
        let (Some(rows), Some(bytes), Some(pages)) = (rows, bytes, left(self.pages, 1)) else {
            return refused("the pages of a column are more than a row group may hold");
        };
        (self.rows, self.bytes, self.pages) = (rows, bytes, pages);
        Ok(())
    }
}

impl FallibleStreamingIterator for Pages<'_> {
    type Item = Page;
    type Error = Malformed;

    fn advance(&mut self) -> Result<(), Malformed> {
        let mut buffer = match self.page.take() {
            Some(Page::Data(mut before)) => std::mem::take(before.buffer_mut()),
            Some(Page::Dict(_)) | None => Vec::new(),
        };
        let Some(compressed) = self.compressed.next().transpose()? else { return Ok(()) };
        self.admit(&compressed)?;
        let page = read::decompress(compressed, &mut buffer)?;
        if let Page::Data(page) = &page {
            let encodings = (page.encoding(), page.definition_level_encoding());
            if encodings != (Encoding::Plain, Encoding::Rle) {
                return refused("a page is of another encoding");
            }
            if !levels_cover(page.buffer(), page.num_values()) {
                return refused("the definition levels of a page are not as many as its values");
            }
        }
        self.page = Some(page);
        Ok(())
    }

    fn get(&self) -> Option<&Page> {
        self.page.as_ref()
    }
}

/// Whether a page begins with one definition level a value: their length, and a single run of them, packed eight a byte.
/// arrow2 looks for those that are missing until there is no memory.
fn levels_cover(page: &[u8], values: usize) -> bool {
    let Some((length, page)) = page.split_first_chunk() else { return false };
    let levels = usize::try_from(u32::from_le_bytes(*length)).ok().and_then(|length| page.get(..length));
    let Some(mut levels) = levels else { return false };
    let packed = values.div_ceil(8);
    let mut indicator = packed << 1 | 1;
    while let [byte, rest @ ..] = levels {
        levels = rest;
        let last = indicator < 0x80;
        if usize::from(*byte) != (indicator & 0x7F) + if last { 0 } else { 0x80 } {
            return false;
        }
        if last {
            return levels.len() == packed;
        }
        indicator >>= 7;
    }
    false
}

fn refused<T>(what: &str) -> Result<T, Malformed> {
    Err(Malformed::OutOfSpec(what.to_owned()))
}

#[cfg(test)]
mod tests {
    use arrow2::array::{DictionaryArray, Utf8Array};
    use arrow2::io::parquet::write::{
        Compressor, DynIter, DynStreamingIterator, FileWriter, Nested, ParquetType, Version, WriteOptions,
        array_to_pages, to_parquet_type,
    };
    use catalog::ValueType;

    use super::*;
    use crate::parquet::{GROUP_ROWS, OPTIONS, Reader, Writer, arrow_schema};
    use crate::{Cell, Column, Rows, Schema};

    fn schema() -> Schema {
        Schema(vec![Column { name: "text".to_owned(), value: ValueType::Text }])
    }

    /// The pages of an array of three.
    fn pages(array: &dyn Array, options: WriteOptions, encoding: Encoding) -> Vec<Page> {
        let ParquetType::PrimitiveType(kind) = to_parquet_type(&arrow_schema(&schema()).fields[0]).unwrap() else {
            panic!("a text is a primitive type")
        };
        let nested = [Nested::Primitive(array.validity().cloned(), true, array.len())];
        array_to_pages(array, kind, &nested, options, encoding).unwrap().map(Result::unwrap).collect()
    }

    /// A page of three texts, the second of them NULL.
    fn page(options: WriteOptions, encoding: Encoding) -> Page {
        pages(&Utf8Array::<i32>::from([Some("one"), None, Some("three")]), options, encoding).remove(0)
    }

    /// Such a page with other definition levels: their length, then they.
    fn leveled(levels: &[u8]) -> Page {
        let mut page = page(OPTIONS, Encoding::Plain);
        if let Page::Data(page) = &mut page {
            page.buffer_mut().splice(..6, levels.iter().copied());
        }
        page
    }

    /// A file of one row group with the pages.
    fn file(pages: Vec<Page>) -> Vec<u8> {
        let mut file = FileWriter::try_new(Vec::new(), arrow_schema(&schema()), OPTIONS).unwrap();
        let pages = Compressor::new(DynIter::new(pages.into_iter().map(Ok)), OPTIONS.compression, Vec::new());
        let pages = DynStreamingIterator::new(FallibleStreamingIterator::map_err(pages, arrow2::error::Error::from));
        file.write(DynIter::new(std::iter::once(Ok(pages)))).unwrap();
        file.end(None).unwrap();
        file.into_inner()
    }

    /// Why the reader refuses the file.
    fn why_not(file: &[u8]) -> String {
        let error = Reader::new(file, &schema()).unwrap().next().unwrap().err().expect("it is refused");
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    }

    #[test]
    fn pages_as_they_are_written_are_read() {
        let pages = || page(OPTIONS, Encoding::Plain);
        let file = file(vec![pages(), pages(), leveled(&[2, 0, 0, 0, 3, 0b101])]);
        let chunk = Reader::new(&file, &schema()).unwrap().next().unwrap().unwrap();
        let texts: Vec<_> = (0..9).map(|row| chunk.text(ValueType::Text, 0, row)).collect();
        let three = [Some("one".to_owned()), None, Some("three".to_owned())];
        assert_eq!(texts, [three.as_slice(), &three, &three].concat());
    }

    #[test]
    fn definition_levels_that_are_not_as_many_as_the_values_are_refused() {
        let cases: [&[u8]; 9] = [
            // A run that is repeated no times, one that is packed in no byte, none at all.
            &[2, 0, 0, 0, 0, 1],
            &[1, 0, 0, 0, 1],
            &[0, 0, 0, 0],
            // Fewer and more than three, a run that is cut, one that is followed.
            &[2, 0, 0, 0, 4, 1],
            &[3, 0, 0, 0, 5, 1, 1],
            &[1, 0, 0, 0, 3],
            &[4, 0, 0, 0, 3, 5, 0, 0],
            // A length without end, and more levels than there is page.
            &[9, 0, 0, 0, 0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
            &[255, 255, 255, 255, 3, 5],
        ];
        for levels in cases {
            let why = why_not(&file(vec![leveled(levels)]));
            assert!(why.contains("the definition levels of a page are not as many as its values"), "{levels:?}: {why}");
        }
        // Those of the largest group are three bytes of length.
        let mut writer = Writer::new(&schema()).unwrap();
        let mut rows = Rows::new(schema());
        for _ in 0..GROUP_ROWS {
            rows.push(&[Cell::Null]).unwrap();
        }
        writer.write(rows.take()).unwrap();
        let file = writer.finish().unwrap();
        assert_eq!(Reader::new(&file, &schema()).unwrap().next().unwrap().unwrap().len(), GROUP_ROWS);
    }

    #[test]
    fn pages_of_another_form_are_refused() {
        let newer = page(WriteOptions { version: Version::V2, ..OPTIONS }, Encoding::Plain);
        let delta = page(OPTIONS, Encoding::DeltaLengthByteArray);
        let words = Utf8Array::<i32>::from_slice(["a", "b"]).boxed();
        let indexed = DictionaryArray::try_from_keys(vec![Some(0), None, Some(1)].into(), words).unwrap();
        let dictionary = pages(&indexed as &DictionaryArray<i32>, OPTIONS, Encoding::RleDictionary);
        let cases = [(vec![newer], "version"), (vec![delta], "encoding"), (dictionary, "is a dictionary")];
        for (pages, told) in cases {
            let why = why_not(&file(pages));
            assert!(why.contains(told), "{why}");
        }
    }

    /// arrow2 calls itself at every page: tens of thousands of them end the stack, those of the longest texts do not.
    #[test]
    fn pages_without_number_are_refused() {
        let file_of = |count: usize| file((0..count).map(|_| page(OPTIONS, Encoding::Plain)).collect());
        let most = Reader::new(file_of(2_060), &schema()).unwrap().next().unwrap().unwrap();
        assert_eq!(most.len(), 2_060 * 3);
        let why = why_not(&file_of(GROUP_ROWS / 3));
        assert!(why.contains("more than a row group may hold"), "{why}");
    }
}
