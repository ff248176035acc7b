//! A part of CSV: read field by field, its values as every type. What was read and is written again is read as the same.

#![no_main]

use catalog::{PgType, TypeName};
use columnar::csv::{Record, Records};
use columnar::{Column, Rows, Schema, copy};
use libfuzzer_sys::fuzz_target;

type Row = Vec<Option<String>>;

fuzz_target!(|part: &[u8]| {
    let Some((header, rows)) = read(part) else { return };
    let again = std::iter::once(&header).chain(&rows).map(|row| line(row)).collect::<String>();
    assert_eq!(read(again.as_bytes()), Some((header, rows.clone())), "what was read is written as {again:?}");
    // One value is of as many types as there are; a part may have many.
    for text in rows.iter().flatten().flatten().take(16) {
        every_type(text);
    }
});

/// Header and rows, if that is a part of UTF-8.
fn read(part: &[u8]) -> Option<(Row, Vec<Row>)> {
    let mut records = Records::new(part).ok()?;
    let header: Row = records.header().iter().cloned().map(Some).collect();
    let (mut record, mut rows) = (Record::default(), Vec::new());
    while records.read(&mut record).ok()? {
        let texts = (0..header.len()).map(|field| Ok(record.text(field)?.map(|text| text.into_owned())));
        rows.push(texts.collect::<Result<Row, columnar::csv::CsvError>>().ok()?);
    }
    Some((header, rows))
}

/// Every text quoted, as COPY with FORCE_QUOTE writes it.
fn line(row: &Row) -> String {
    let field = |text: &Option<String>| {
        text.as_ref().map_or_else(String::new, |text| format!("\"{}\"", text.replace('"', "\"\"")))
    };
    row.iter().map(field).collect::<Vec<_>>().join(",") + "\n"
}

/// What a type takes, its column takes, and Postgres is sent it.
fn every_type(text: &str) {
    for name in TypeName::ALL {
        let value = PgType::parse(name.row().example.0).expect("an example of the table").value;
        let _ = columnar::printed(value, text.into());
        let Ok(cell) = columnar::parse(value, text.into()) else { continue };
        let schema = Schema(vec![Column { name: "value".to_owned(), value }]);
        let mut rows = Rows::new(schema.clone());
        rows.push(&[cell]).expect("a value of the column's own type");
        let mut out = Vec::new();
        copy::encode(&schema, &rows.take(), 0..1, &mut out).expect("what is a value has a form in Postgres");
    }
    let _ = columnar::refused_by_jsonb(text);
}
