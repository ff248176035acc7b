//! Numbers and times as people read them.

use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};

/// `1234567` → `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// `1536` → `1.50 KiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

/// `2026-11-23 13:05:00`, UTC.
#[must_use]
pub fn instant(at: &DateTime) -> String {
    let text = at.fmt(DateTimeFormat::DateTime).unwrap_or_default();
    text.split('.').next().unwrap_or_default().trim_end_matches('Z').replace('T', " ")
}

/// `412 ms`, `3.20 s`, `4 min 2 s`.
#[must_use]
pub fn duration(from: &DateTime, to: Option<&DateTime>) -> Option<String> {
    let millis = to?.to_millis().ok()?.checked_sub(from.to_millis().ok()?)?;
    Some(span(u64::try_from(millis).ok()?))
}

/// The same for milliseconds.
#[must_use]
pub fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{:02} s", millis / 1_000, millis % 1_000 / 10),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!([count(7), count(1_000), count(1_234_567)], ["7", "1,000", "1,234,567"]);
        assert_eq!([span(412), span(3_209), span(242_000)], ["412 ms", "3.20 s", "4 min 2 s"]);
        let at = DateTime::from_millis(1_700_000_000_123);
        assert_eq!(instant(&at), "2023-11-14 22:13:20");
        assert_eq!(duration(&at, Some(&DateTime::from_millis(1_700_000_001_123))), Some("1.00 s".to_owned()));
    }
}
