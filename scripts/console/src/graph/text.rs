//! Texts in a drawing, which nobody measures before they are shown: their width is estimated, a little too wide.

use std::borrow::Cow;

use catalog::plain;

/// Width of a text, rounded up, where letters are `size` high.
pub(super) fn width(text: &str, size: i32) -> i32 {
    let hundredths: i32 = text.chars().map(hundredths).fold(0, i32::saturating_add);
    hundredths.saturating_mul(size).saturating_add(99) / 100
}

/// A text that is no wider than `room`; what is cut off is told by an ellipsis.
pub(super) fn fit(text: &str, size: i32, room: i32) -> Cow<'_, str> {
    if width(text, size) <= room {
        return Cow::Borrowed(text);
    }
    let mut left = room.saturating_sub(width("…", size)).saturating_mul(100);
    let kept = text.chars().take_while(|letter| {
        left -= hundredths(*letter) * size;
        left >= 0
    });
    let kept: String = kept.collect();
    Cow::Owned(kept.trim_end().to_owned() + "…")
}

/// A name in two lines, broken where they become most alike.
pub(super) fn lines(text: &str, size: i32, room: i32) -> Vec<String> {
    let breaks = text.match_indices(' ').map(|(at, _)| text.split_at(at)).filter(|(a, b)| !a.is_empty() && b.len() > 1);
    let longest = |(a, b): &(&str, &str)| width(a, size).max(width(b.trim_start(), size));
    match breaks.min_by_key(longest) {
        Some((first, second)) => [first, second].map(|line| fit(line.trim(), size, room).into_owned()).into(),
        None => vec![fit(text, size, room).into_owned()],
    }
}

/// A text that XML may hold, and that turns no other text around.
pub(super) fn clean(text: &str) -> String {
    plain(text).replace(['\n', '\r', '\t'], " ").replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// An element's id for a state's name: another one for another name.
pub(crate) fn id(state: &str) -> String {
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => letter.to_string(),
        ' ' => "-".to_owned(),
        _ => format!(".{:x}.", u32::from(letter)),
    };
    state.chars().map(letter).fold("g-".to_owned(), |id, letter| id + &letter)
}

/// Of a usual font, in hundredths of the letters' height.
fn hundredths(letter: char) -> i32 {
    match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | '\'' | ':' | ';' | '|' | '!' => 29,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' | '·' => 38,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 92,
        'A'..='Z' | '&' | '<' | '>' | '+' | '=' | '~' => 70,
        ' '..='~' => 58,
        // Wide scripts are as wide as they are high.
        _ => 105,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_its_room_ends() {
        assert_eq!(fit("payment_type", 11, 200), "payment_type");
        let cut = fit("fact_purchase_order", 11, 60);
        assert!(cut.ends_with('…') && width(&cut, 11) <= 60 && cut.len() > 8, "{cut}");
        assert_eq!(lines("Anything has changed?", 11, 100), ["Anything has", "changed?"]);
        assert_eq!(lines("", 11, 100), [""]);
        assert!(width(&fit(&"長".repeat(200), 11, 100), 11) <= 100);
    }

    #[test]
    fn other_names_have_other_ids() {
        assert_eq!(id("Extract dim_staff"), "g-Extract-dim_staff");
        let names = ["a b", "a-b", "a.b", "a.2d.b", "a  b", "ab", "\"><script>"];
        let ids: std::collections::HashSet<_> = names.map(id).into();
        assert_eq!(ids.len(), names.len());
        let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        assert!(ids.iter().all(|id| id.chars().all(is_safe)), "{ids:?}");
    }
}
