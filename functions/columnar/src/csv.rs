//! CSV as `COPY … TO STDOUT (FORMAT csv)` writes it: RFC 4180, NULL is an empty field, `''` is a quoted empty field.
//!
//! Dear next person: no CSV library tells an empty field from a quoted empty one, and that difference is the difference
//! between NULL and `''` (R8). That is the whole reason this file exists. A part holds whole rows and is small enough to
//! be in memory, so records borrow from it; only a doubled quote costs a copy.

use std::borrow::Cow;

use memchr::memchr;

/// Bytes that are not the CSV that was written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct CsvError {
    /// Line of the part, from 1, where the record begins.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// The records of one part, its header line taken off.
#[derive(Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    line: u64,
    header: Vec<String>,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    quoted: bool,
}

/// The fields of one record. Reused from record to record.
#[derive(Debug, Default)]
pub struct Record<'a> {
    fields: Vec<Field<'a>>,
    line: u64,
}

impl<'a> Records<'a> {
    /// Begins a part, reading its header.
    ///
    /// # Errors
    /// When there is no header line.
    pub fn new(part: &'a [u8]) -> Result<Self, CsvError> {
        let mut records = Self { rest: part, line: 1, header: Vec::new() };
        let mut record = Record::default();
        if !records.read(&mut record)? {
            return Err(CsvError { line: 1, what: "the part is empty: it lacks its header".to_owned() });
        }
        let names =
            (0..record.fields.len()).map(|index| record.text(index).map(|name| name.unwrap_or_default().into_owned()));
        records.header = names.collect::<Result<_, _>>()?;
        Ok(records)
    }

    /// The names in the header.
    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Reads the next record into `record`; `false` at the end.
    ///
    /// # Errors
    /// When the bytes are no record of as many fields as the header has.
    pub fn read(&mut self, record: &mut Record<'a>) -> Result<bool, CsvError> {
        record.fields.clear();
        record.line = self.line;
        if self.rest.is_empty() {
            return Ok(false);
        }
        loop {
            let (field, after) = self.field(record.line)?;
            record.fields.push(field);
            match after {
                Some(b',') => {}
                Some(_) => break,
                None => {
                    return Err(CsvError { line: record.line, what: "the last record has no line end".to_owned() });
                }
            }
        }
        self.line += 1;
        if !self.header.is_empty() && record.fields.len() != self.header.len() {
            let what = format!("{} fields where the header has {}", record.fields.len(), self.header.len());
            return Err(CsvError { line: record.line, what });
        }
        Ok(true)
    }

    /// One field and the byte that ended it, both taken off `rest`.
    fn field(&mut self, line: u64) -> Result<(Field<'a>, Option<u8>), CsvError> {
        if self.rest.first() == Some(&b'"') {
            return self.quoted_field(line);
        }
        let end = self.rest.iter().position(|byte| matches!(byte, b',' | b'\n')).unwrap_or(self.rest.len());
        let (raw, rest) = self.rest.split_at(end);
        let after = rest.first().copied();
        self.rest = rest.get(1..).unwrap_or_default();
        Ok((Field { raw, quoted: false }, after))
    }

    fn quoted_field(&mut self, line: u64) -> Result<(Field<'a>, Option<u8>), CsvError> {
        let inside = &self.rest[1..];
        let mut end = 0;
        loop {
            let Some(quote) = memchr(b'"', &inside[end..]) else {
                return Err(CsvError { line, what: "a quoted field does not end".to_owned() });
            };
            end += quote;
            if inside.get(end + 1) != Some(&b'"') {
                break;
            }
            end += 2;
        }
        let raw = &inside[..end];
        self.line += memchr::memchr_iter(b'\n', raw).count() as u64;
        let after = inside.get(end + 1).copied();
        if !matches!(after, None | Some(b',' | b'\n')) {
            return Err(CsvError { line, what: "a quoted field goes on after its quote".to_owned() });
        }
        self.rest = inside.get(end + 2..).unwrap_or_default();
        Ok((Field { raw, quoted: true }, after))
    }
}

impl<'a> Record<'a> {
    /// The value of a field, `None` for NULL.
    ///
    /// # Errors
    /// When it is not UTF-8, or there is no such field.
    pub fn text(&self, index: usize) -> Result<Option<Cow<'a, str>>, CsvError> {
        let Some(field) = self.fields.get(index) else {
            return Err(CsvError { line: self.line, what: format!("there is no field {}", index + 1) });
        };
        if !field.quoted && field.raw.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(field.raw).map_err(|error| CsvError {
            line: self.line,
            what: format!("field {} is not UTF-8: {error}", index + 1),
        })?;
        Ok(Some(if field.quoted && text.contains("\"\"") { text.replace("\"\"", "\"").into() } else { text.into() }))
    }

    /// Its line in the part, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(part: &str) -> Result<Vec<Vec<Option<String>>>, CsvError> {
        let mut records = Records::new(part.as_bytes())?;
        let mut record = Record::default();
        let mut rows = Vec::new();
        while records.read(&mut record)? {
            let row = (0..record.fields.len()).map(|index| Ok(record.text(index)?.map(Cow::into_owned)));
            rows.push(row.collect::<Result<_, _>>()?);
        }
        Ok(rows)
    }

    #[test]
    fn null_is_not_the_empty_text() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("a,b,c\n1,,\"\"\n\"O\"\"Keefe, \nJr\",\\N,NULL\n").unwrap(),
            [vec![some("1"), None, some("")], vec![some("O\"Keefe, \nJr"), some("\\N"), some("NULL")]]
        );
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let message = |part: &str| read(part).unwrap_err().to_string();
        assert_eq!(message(""), "line 1: the part is empty: it lacks its header");
        assert_eq!(message("a,b\n1,2\n3\n"), "line 3: 1 fields where the header has 2");
        assert_eq!(message("a\n\"x\ny\"\n\"z"), "line 4: a quoted field does not end");
        assert_eq!(message("a\n\"x\"y\n"), "line 2: a quoted field goes on after its quote");
        assert_eq!(message("a\n1\n2"), "line 3: the last record has no line end");
        let mut records = Records::new(b"a\n\xff\n").unwrap();
        let mut record = Record::default();
        assert!(records.read(&mut record).unwrap());
        assert!(record.text(0).unwrap_err().to_string().starts_with("line 2: field 1 is not UTF-8"));
    }

    /// What Postgres' COPY does: quote where the value would otherwise be read as something else.
    fn write(value: Option<&str>) -> String {
        match value {
            None => String::new(),
            Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || text == "\\." => {
                format!("\"{}\"", text.replace('"', "\"\""))
            }
            Some(text) => text.to_owned(),
        }
    }

    proptest! {
        #[test]
        fn what_copy_writes_is_read_back(rows in prop::collection::vec(prop::collection::vec(prop::option::of("[a\",\n\r\\\\é ]{0,4}"), 3), 0..6)) {
            let mut part = "a,b,c\n".to_owned();
            for row in &rows {
                part += &row.iter().map(|value| write(value.as_deref())).collect::<Vec<_>>().join(",");
                part.push('\n');
            }
            prop_assert_eq!(read(&part).unwrap(), rows);
        }
    }
}
