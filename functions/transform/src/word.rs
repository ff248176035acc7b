//! What the words of the vocabulary do to a value. What they are called and what they read is `catalog::Word`'s.

use std::borrow::Cow;

use catalog::{ValueType, Word};
use columnar::{Cell, ValueError};

/// What a word makes of a value; of NULL every word makes NULL.
///
/// # Errors
/// Why nothing can be made of it: the reason for which its row is rejected.
pub(crate) fn evaluate<'r>(word: Word, cell: &Cell<'r>) -> Result<Cell<'r>, ValueError> {
    if *cell == Cell::Null {
        return Ok(Cell::Null);
    }
    match word {
        Word::From => Ok(cell.clone()),
        Word::DateOf => Ok(Cell::Int(columnar::date_of(micros(cell)?))),
        Word::TimeOf => Ok(Cell::Int(columnar::time_of(micros(cell)?))),
        Word::TextToDate => columnar::parse(ValueType::Date, Cow::Owned(text(cell)?.to_owned()))
            .map_err(|error| error.with_hint(" (YYYY-MM-DD)")),
        Word::CurrencyName => {
            let code = text(cell)?;
            match iso_currency::Currency::from_code(code) {
                Some(currency) => Ok(Cell::Text(currency.name().to_owned().into())),
                None => Err(ValueError::new(code, "is no currency code of ISO 4217")),
            }
        }
    }
}

fn micros(cell: &Cell<'_>) -> Result<i64, ValueError> {
    cell.int().ok_or_else(|| ValueError::new(&format!("{cell:?}"), "is no timestamp"))
}

fn text<'c>(cell: &'c Cell<'_>) -> Result<&'c str, ValueError> {
    cell.text().map(AsRef::as_ref).ok_or_else(|| ValueError::new(&format!("{cell:?}"), "is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_does_what_its_example_says() {
        for word in Word::ALL {
            let row = word.row();
            let (before, after) = row.example;
            let read = row.reads.map_or(ValueType::Text, |reads| reads[0]);
            let cell = columnar::parse(read, before.into()).unwrap();
            let made = evaluate(word, &cell).unwrap();
            assert_eq!(made, columnar::parse(word.gives(read), after.into()).unwrap(), "{}", row.name);
            assert_eq!(evaluate(word, &Cell::Null), Ok(Cell::Null), "{}", row.name);
        }
    }

    #[test]
    fn what_nothing_can_be_made_of_is_told_with_the_reason() {
        let text = |text: &'static str| Cell::Text(text.into());
        let refused = |word, cell: Cell<'_>| evaluate(word, &cell).unwrap_err().quoting();
        assert_eq!(refused(Word::CurrencyName, text("XQZ")), "\"XQZ\" is no currency code of ISO 4217");
        assert_eq!(refused(Word::TextToDate, text("soon")), "\"soon\" is no date (YYYY-MM-DD)");
        let error = evaluate(Word::TextToDate, &text("soon")).unwrap_err();
        assert_eq!(error.to_string(), "is no date (YYYY-MM-DD)", "without the value");
        assert!(refused(Word::DateOf, text("soon")).ends_with(" is no timestamp"));
    }
}
