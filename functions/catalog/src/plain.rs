//! Text from elsewhere on its way to people: what a terminal or a mail program would obey, and not show, is spelled out.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The same text where whatever moves a cursor, changes a terminal or turns the direction of writing stands as JSON spells
/// it: `\u001b`. Tabs and ends of lines stay. Text that is JSON stays so, and means the same.
///
/// Whoever may name an object of a database, raise an error in it or write a row would else write on the operator's screen
/// what they like.
///
/// ```
/// assert_eq!(catalog::plain("a table\u{1b}[2J"), "a table\\u001b[2J");
/// ```
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_obeyed(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a text does not fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(letter);
        }
    }
    Cow::Owned(plain)
}

/// Control characters of C0 and C1, and what Unicode has to change the direction or the place of what is seen: Unicode
/// Standard Annex 9, section 2; separators of lines and paragraphs; characters without a width that are no part of a letter.
fn is_obeyed(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => letter.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out() {
        for (hostile, shown) in [
            ("a\u{1b}[2Jb", "a\\u001b[2Jb"),
            ("over\rwritten\u{8}", "over\\u000dwritten\\u0008"),
            ("\u{9b}31m \u{7f}", "\\u009b31m \\u007f"),
            ("cod\u{202e}exe.", "cod\\u202eexe."),
            ("\u{2066}\u{200f}\u{2028}\u{feff}", "\\u2066\\u200f\\u2028\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(plain(hostile), shown);
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["Größe\tin\nmm", "عربى ‌ fa", "e\u{301}", "👩\u{200d}🚀", "日本語", "C:\\temp \"x\""]
        {
            assert!(matches!(plain(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let value = serde_json::json!({ "na\u{202e}me": "\u{9b}2J \u{1b} \u{e0041} \n" });
        let shown = plain(&value.to_string()).into_owned();
        assert!(!shown.contains(is_obeyed), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
