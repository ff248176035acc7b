//! A part of Parquet, footer and pages: refused, or read. What was read and is written again is read as the same.
//!
//! arrow2 may panic on a file that it did not write, and a function answers `Internal.Bug` then: such a panic is no find
//! here, one of our own code is, and so is what no function survives: memory that has no end, a loop, a fault.

#![no_main]

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use catalog::ValueType;
use columnar::parquet::{Reader, Writer};
use columnar::{Chunk, Column, Schema, copy};
use libfuzzer_sys::fuzz_target;

thread_local! {
    /// Whether the last panic began in arrow2 or what it stands on.
    static THEIRS: Cell<bool> = const { Cell::new(false) };
}

fuzz_target!(init: tell_panics_apart(), |file: &[u8]| {
    let schema = schema();
    let Some(before) = read(file, &schema) else { return };
    let mut writer = Writer::new(&schema).expect("a schema");
    let mut sent = Vec::new();
    for chunk in before {
        // A date may be beyond what Postgres knows.
        if copy::encode(&schema, &chunk, 0..chunk.len(), &mut sent).is_err() {
            return;
        }
        writer.write(chunk).expect("it was read with the schema");
    }
    let again = writer.finish().expect("a footer");
    let mut sent_again = Vec::new();
    for chunk in Reader::new(&again, &schema).expect("the writer's own") {
        let chunk = chunk.expect("the writer's own");
        copy::encode(&schema, &chunk, 0..chunk.len(), &mut sent_again).expect("the same values");
    }
    assert!(sent == sent_again, "the values differ");
});

/// The row groups, if that is a file of the schema.
fn read(file: &[u8], schema: &Schema) -> Option<Vec<Chunk>> {
    let chunks = || Reader::new(file, schema).ok()?.collect::<Result<Vec<_>, _>>().ok();
    match panic::catch_unwind(AssertUnwindSafe(chunks)) {
        Ok(chunks) => chunks,
        Err(_) if THEIRS.get() => None,
        Err(panic) => panic::resume_unwind(panic),
    }
}

/// The fuzzer aborts at every panic, even one that is caught.
fn tell_panics_apart() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let ours = |file: &str| ["columnar", "catalog", "targets"].iter().any(|room| file.contains(room));
        // A panic of the standard library was provoked by whoever called it: a backtrace says more, and our rooms do not
        // index while they read Parquet.
        THEIRS.set(!panic.location().is_some_and(|place| ours(place.file())));
        if !THEIRS.get() {
            abort(panic);
        }
    }));
}

fn schema() -> Schema {
    let values = [
        ("n", ValueType::Integer),
        ("price", ValueType::Numeric { precision: 10, scale: 2 }),
        ("text", ValueType::Text),
        ("flag", ValueType::Boolean),
        ("at", ValueType::Timestamp),
    ];
    Schema(values.into_iter().map(|(name, value)| Column { name: name.to_owned(), value }).collect())
}
