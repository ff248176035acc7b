//! One value: how Postgres prints it, what it is.

use std::borrow::Cow;
use std::fmt;

use catalog::ValueType;
use chrono::NaiveDate;

/// The first day that Postgres knows: 4714-11-24 BC.
const FIRST_DAY: i64 = -2_440_588;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A value on its way from text to column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// Integers; days since 1970-01-01 (date); microseconds since midnight (time) or since 1970-01-01 (timestamps).
    Int(i64),
    /// Unscaled value of a decimal.
    Decimal(i128),
    /// Binary floats.
    Float(f64),
    /// Truth.
    Bool(bool),
    /// Text, UUID and JSON.
    Text(Cow<'a, str>),
}

impl<'a> Cell<'a> {
    /// The number of an integer, date, time or timestamp.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Null | Self::Decimal(_) | Self::Float(_) | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The text of a text, UUID or JSON.
    #[must_use]
    pub fn text(&self) -> Option<&Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) | Self::Decimal(_) | Self::Float(_) | Self::Bool(_) => None,
        }
    }
}

/// A text that is no value of its column's type. It says why, and nothing of the text: that is for where rows are kept.
#[derive(thiserror::Error, PartialEq, Eq)]
#[error("{what}")]
pub struct ValueError {
    text: String,
    what: String,
}

impl ValueError {
    /// `what`: why it is none, as it follows the text or the column's name: `is no date`.
    #[must_use]
    pub fn new(text: &str, what: impl Into<String>) -> Self {
        let cut: String = text.chars().take(60).collect();
        Self { text: if cut.len() < text.len() { cut + "…" } else { cut }, what: what.into() }
    }

    /// The same with the text, cut to a readable length: `"soon" is no date`.
    #[must_use]
    pub fn quoting(&self) -> String {
        format!("{:?} {}", self.text, self.what)
    }

    /// The same with more to say of it.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        self.what.push_str(hint);
        self
    }
}

/// Without the text.
impl fmt::Debug for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ValueError").field(&self.what).finish()
    }
}

/// Reads a value as Postgres prints it (ISO dates, UTC, `t` and `f`).
///
/// # Errors
/// When it is none, or one that the type cannot carry: `NaN` and `infinity` where the type has no such value, more digits
/// than declared.
pub fn parse(value: ValueType, text: Cow<'_, str>) -> Result<Cell<'_>, ValueError> {
    let refused = || ValueError::new(&text, format!("is no {value}"));
    let int = |parsed: Option<i64>| parsed.map(Cell::Int).ok_or_else(refused);
    match value {
        ValueType::Integer => int(text.parse::<i32>().ok().map(i64::from)),
        ValueType::Text | ValueType::Json | ValueType::JsonB => Ok(Cell::Text(text)),
        ValueType::Numeric { precision, scale } => decimal(&text, precision, scale),
        ValueType::Timestamp => int(timestamp(&text)),
        ValueType::TimestampTz => {
            int(text.strip_suffix("+00").or_else(|| text.strip_suffix("+00 BC")).and_then(|start| {
                if text.ends_with("BC") { timestamp(&format!("{start} BC")) } else { timestamp(start) }
            }))
        }
        ValueType::Date => int(date(&text)),
        ValueType::Time => int(time(&text)),
        ValueType::Boolean => match text.as_ref() {
            "t" => Ok(Cell::Bool(true)),
            "f" => Ok(Cell::Bool(false)),
            _ => Err(refused()),
        },
        ValueType::BigInt => int(text.parse().ok()),
        ValueType::SmallInt => int(text.parse::<i16>().ok().map(i64::from)),
        ValueType::Real => text.parse::<f32>().map(|float| Cell::Float(float.into())).map_err(|_| refused()),
        ValueType::Double => text.parse::<f64>().map(Cell::Float).map_err(|_| refused()),
        ValueType::Uuid => {
            let shaped = text.len() == 36
                && text.bytes().enumerate().all(|(at, byte)| match at {
                    8 | 13 | 18 | 23 => byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                });
            if shaped { Ok(Cell::Text(text)) } else { Err(refused()) }
        }
    }
}

/// A value that COPY printed, as a cast to `text` prints it: truth is a word there, and a decimal has all digits of its
/// column. What is no value of the type stays as it is.
#[must_use]
pub fn printed(value: ValueType, text: Cow<'_, str>) -> String {
    match (value, text.as_ref()) {
        (ValueType::Boolean, "t") => "true".to_owned(),
        (ValueType::Boolean, "f") => "false".to_owned(),
        (ValueType::Numeric { precision, scale }, digits) => match decimal(digits, precision, scale) {
            Ok(Cell::Decimal(unscaled)) => decimal_text(unscaled, scale),
            Ok(_) | Err(_) => text.into_owned(),
        },
        _ => text.into_owned(),
    }
}

/// -12340 at scale 2 → `-123.40`.
pub(crate) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

/// The day of a timestamp: microseconds since 1970-01-01 → days since then.
#[must_use]
pub fn date_of(micros: i64) -> i64 {
    micros.div_euclid(MICROS_PER_DAY)
}

/// The time of day of a timestamp: microseconds since 1970-01-01 → microseconds since midnight.
#[must_use]
pub fn time_of(micros: i64) -> i64 {
    micros.rem_euclid(MICROS_PER_DAY)
}

/// `-123.40` → -12340 at scale 2. Never through a float.
fn decimal(text: &str, precision: u8, scale: u8) -> Result<Cell<'static>, ValueError> {
    let refused = || ValueError::new(text, format!("is no numeric({precision},{scale})"));
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Digits are counted in bytes below.
    if !text.is_ascii() || (whole.is_empty() && fraction.is_empty()) {
        return Err(refused());
    }
    // Zeros behind the declared scale are no digits lost.
    let fraction = fraction.get(..usize::from(scale)).map_or(Ok(fraction), |kept| {
        fraction[kept.len()..].bytes().all(|byte| byte == b'0').then_some(kept).ok_or_else(refused)
    })?;
    let padding = usize::from(scale) - fraction.len();
    let mut unscaled: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', padding)) {
        if !byte.is_ascii_digit() {
            return Err(refused());
        }
        let digit = i128::from(byte - b'0');
        unscaled = unscaled.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or_else(refused)?;
    }
    if unscaled >= 10_i128.pow(precision.into()) {
        return Err(refused());
    }
    Ok(Cell::Decimal(if negative { -unscaled } else { unscaled }))
}

/// `2024-11-15`, `12024-11-15`, `0044-03-15 BC` → days since 1970-01-01. `infinity` is no day.
fn date(text: &str) -> Option<i64> {
    let (text, era) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    if year.len() < 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let year = i32::try_from(digits(year)?).ok().filter(|year| *year > 0)?;
    // Postgres has no year 0: 1 BC is the year before 1.
    let year = if era { 1_i32.checked_sub(year)? } else { year };
    let date = NaiveDate::from_ymd_opt(year, digits(month)?, digits(day)?)?;
    Some(i64::from(date.to_epoch_days())).filter(|day| *day >= FIRST_DAY)
}

/// `14:20:52.186` → microseconds. Postgres also knows `24:00:00`.
fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(digits).map(i64::from);
    let (hour, minute, second) = (number(0..2)?, number(3..5)?, number(6..8)?);
    let micros = match text.get(8..)? {
        "" => 0,
        fraction => {
            let fraction = fraction.strip_prefix('.')?;
            let scale = 6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
            i64::from(digits(fraction)?) * 10_i64.pow(scale)
        }
    };
    let total = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
    (minute < 60 && second < 60 && total <= MICROS_PER_DAY).then_some(total)
}

/// `2024-11-15 14:20:52.186` → microseconds since 1970-01-01.
fn timestamp(text: &str) -> Option<i64> {
    let (day, rest) = text.split_once(' ')?;
    let days = match rest.strip_suffix(" BC") {
        Some(clock) => {
            return date(&format!("{day} BC"))?.checked_mul(MICROS_PER_DAY)?.checked_add(time(clock)?);
        }
        None => date(day)?,
    };
    days.checked_mul(MICROS_PER_DAY)?.checked_add(time(rest)?)
}

/// One to nine ASCII digits; no sign, no space.
fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.bytes().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: ValueType = ValueType::Numeric { precision: 10, scale: 2 };

    fn check(value: ValueType, text: &str, expected: &Cell<'_>) {
        assert_eq!(&parse(value, text.into()).unwrap(), expected, "{value} {text:?}");
    }

    fn refuse(value: ValueType, texts: &[&str]) {
        for text in texts {
            assert!(parse(value, (*text).into()).is_err(), "{value} takes {text:?}");
        }
    }

    #[test]
    fn decimals_are_exact() {
        check(PRICE, "3.94", &Cell::Decimal(394));
        check(PRICE, "-0.05", &Cell::Decimal(-5));
        check(PRICE, "7", &Cell::Decimal(700));
        check(PRICE, "1.5000", &Cell::Decimal(150));
        check(PRICE, "99999999.99", &Cell::Decimal(9_999_999_999));
        check(
            ValueType::Numeric { precision: 38, scale: 0 },
            "99999999999999999999999999999999999999",
            &Cell::Decimal(99_999_999_999_999_999_999_999_999_999_999_999_999),
        );
        // A letter of several bytes where the declared scale ends.
        refuse(PRICE, &["1.7\u{46d}\r", "1.\u{20ac}"]);
        refuse(PRICE, &["100000000.00", "1.005", "NaN", "Infinity", "", "-", ".", "1e3", "1.2.3", "+1", " 1", "--1"]);
    }

    #[test]
    fn dates_reach_beyond_four_digits_and_before_christ() {
        check(ValueType::Date, "1970-01-01", &Cell::Int(0));
        check(ValueType::Date, "2024-02-29", &Cell::Int(19_782));
        check(ValueType::Date, "10000-01-01", &Cell::Int(2_932_897));
        check(ValueType::Date, "0001-01-01 BC", &Cell::Int(-719_528));
        check(ValueType::Date, "4714-11-24 BC", &Cell::Int(FIRST_DAY));
        refuse(
            ValueType::Date,
            &[
                "4714-11-23 BC",
                "0000-01-01",
                "0000-01-01 BC",
                "9999-01-01 BC",
                "2023-02-29",
                "2024-1-01",
                "24-01-01",
                "infinity",
                "",
                "2024-01-01 ",
                "2024/01/01",
                "soon",
            ],
        );
    }

    #[test]
    fn times_keep_their_microseconds() {
        check(ValueType::Time, "14:20:52.186", &Cell::Int(51_652_186_000));
        check(ValueType::Time, "10:00:00.19", &Cell::Int(36_000_190_000));
        check(ValueType::Time, "00:00:00.000001", &Cell::Int(1));
        check(ValueType::Time, "24:00:00", &Cell::Int(MICROS_PER_DAY));
        refuse(ValueType::Time, &["24:00:01", "10:60:00", "10:00", "10:00:00.", "10:00:00.1234567", "1:00:00"]);
    }

    #[test]
    fn timestamps_split_into_day_and_time() {
        let split = |text: &str| {
            let micros = parse(ValueType::Timestamp, text.into()).unwrap().int().unwrap();
            (Cell::Int(date_of(micros)), Cell::Int(time_of(micros)))
        };
        let day = parse(ValueType::Date, "2022-11-03".into()).unwrap();
        let time = parse(ValueType::Time, "14:20:52.186".into()).unwrap();
        assert_eq!(split("2022-11-03 14:20:52.186"), (day, time));
        assert_eq!(split("1969-12-31 23:59:59"), (Cell::Int(-1), Cell::Int(86_399_000_000)));
        check(ValueType::TimestampTz, "1970-01-02 00:00:00+00", &Cell::Int(MICROS_PER_DAY));
        check(ValueType::Timestamp, "0001-01-01 00:00:00 BC", &Cell::Int(-719_528 * MICROS_PER_DAY));
        refuse(ValueType::Timestamp, &["2022-11-03", "infinity", "2022-11-03T14:20:52", "2022-11-03 14:20:52+00"]);
        refuse(ValueType::TimestampTz, &["2022-11-03 14:20:52", "2022-11-03 14:20:52+01"]);
    }

    #[test]
    fn what_copy_printed_is_told_as_a_cast_tells_it() {
        let told = |value, text: &str| printed(value, text.into());
        assert_eq!((told(ValueType::Boolean, "t"), told(ValueType::Text, "t")), ("true".to_owned(), "t".to_owned()));
        for (text, expected) in [("7", "7.00"), ("-0.5", "-0.50"), ("123.40", "123.40"), ("0", "0.00"), ("NaN", "NaN")]
        {
            assert_eq!(told(PRICE, text), expected);
        }
        assert_eq!(told(ValueType::Numeric { precision: 5, scale: 0 }, "-12"), "-12");
    }

    #[test]
    fn the_rest_is_what_postgres_prints() {
        check(ValueType::Boolean, "t", &Cell::Bool(true));
        check(ValueType::SmallInt, "-32768", &Cell::Int(-32_768));
        check(ValueType::Text, "", &Cell::Text("".into()));
        check(ValueType::Text, "007", &Cell::Text("007".into()));
        refuse(ValueType::Boolean, &["true", ""]);
        refuse(ValueType::Integer, &["2147483648", "1.0", ""]);
        refuse(ValueType::Uuid, &["550e8400e29b41d4a716446655440000", "x"]);
    }
}
