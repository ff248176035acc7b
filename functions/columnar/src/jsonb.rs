//! What a `jsonb` does not hold of a `json`: known before the warehouse refuses a whole batch for it.
//!
//! Postgres keeps a `json` as the text that it is and takes a `jsonb` apart: its texts become texts of the database, its
//! numbers `numeric`s. How deep a document may be depends on the server's stack and is left to it.

use memchr::memchr2;

/// Digits that a `numeric` has at most before its point.
const WHOLE_DIGITS: i64 = 131_072;
/// Digits that it has at most behind it.
const FRACTION_DIGITS: i64 = 16_383;
/// An exponent of this size is refused, even of nothing.
const EXPONENT: i64 = 1_073_741_823;

/// Why a document that is a valid `json` is no `jsonb`; `None` where it is one.
#[must_use]
pub fn refused_by_jsonb(json: &str) -> Option<&'static str> {
    let mut rest = json.as_bytes();
    while let [first, after @ ..] = rest {
        let read = match first {
            b'"' => string(after),
            b'-' | b'0'..=b'9' => number(rest),
            _ => Ok(after),
        };
        match read {
            Ok(after) => rest = after,
            Err(why) => return Some(why),
        }
    }
    None
}

/// Reads a string whose opening quote is read; what comes after its closing one.
fn string(mut rest: &[u8]) -> Result<&[u8], &'static str> {
    const HALF: &str = "holds one half of a surrogate pair";
    let mut needs_low = false;
    loop {
        let Some(at) = memchr2(b'"', b'\\', rest) else { return Ok(&[]) };
        if needs_low && (at > 0 || rest[0] == b'"') {
            return Err(HALF);
        }
        let (escape, after) = match &rest[at..] {
            [b'\\', escape, after @ ..] => (escape, after),
            [_, after @ ..] => return Ok(after),
            [] => return Ok(&[]),
        };
        rest = after;
        let code = (*escape == b'u').then(|| code_unit(after)).flatten();
        match code {
            Some(0) => return Err("holds \\u0000"),
            Some(0xDC00..=0xDFFF) if !needs_low => return Err(HALF),
            Some(0xDC00..=0xDFFF) => needs_low = false,
            _ if needs_low => return Err(HALF),
            Some(0xD800..=0xDBFF) => needs_low = true,
            Some(_) | None => {}
        }
        if code.is_some() {
            rest = &rest[4..];
        }
    }
}

fn code_unit(text: &[u8]) -> Option<u16> {
    u16::from_str_radix(str::from_utf8(text.get(..4)?).ok()?, 16).ok()
}

/// Reads a number; what comes after it.
fn number(text: &[u8]) -> Result<&[u8], &'static str> {
    const RANGE: &str = "holds a number that is out of range";
    let length = text.iter().position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
    let (number, after) = text.split_at(length.unwrap_or(text.len()));
    let (digits, exponent) = match number.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&number[..at], str::from_utf8(&number[at + 1..]).ok().and_then(|text| text.parse().ok())),
        None => (number, Some(0_i64)),
    };
    // One that is too long to be read is too large.
    let exponent = exponent.filter(|exponent| exponent.abs() < EXPONENT).ok_or(RANGE)?;
    let digits = digits.strip_prefix(b"-").unwrap_or(digits);
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let place = |index: usize| i64::try_from(index).map_err(|_| RANGE);
    let fraction = place(digits.len().saturating_sub(point + 1))? - exponent;
    let whole = match digits.iter().position(|byte| matches!(byte, b'1'..=b'9')) {
        Some(first) if first < point => place(point - first)? + exponent,
        Some(first) => exponent - place(first - point - 1)?,
        None => 0,
    };
    if whole > WHOLE_DIGITS || fraction > FRACTION_DIGITS { Err(RANGE) } else { Ok(after) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_text_is_a_text() {
        for json in [r#"{"a": "1e999999", "b": "\\u0000", "c": "é\"\n\ud83d\ude00x"}"#, "[]", "null", r#""\u00e9""#] {
            assert_eq!(refused_by_jsonb(json), None, "{json}");
        }
        assert_eq!(refused_by_jsonb(r#"{"a": ["x\u0000y"]}"#), Some("holds \\u0000"));
        assert_eq!(refused_by_jsonb(r#"{"\ud83d": 1}"#), Some("holds one half of a surrogate pair"));
        assert_eq!(refused_by_jsonb("[1, -2.5e+200000]"), Some("holds a number that is out of range"));
    }
}
