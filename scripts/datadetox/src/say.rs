//! What is said to a person: on stderr, so that stdout stays data. A terminal obeys nothing of it but the colours that are
//! given here: names, causes and messages come from databases, from files and from whoever called.

use std::io::Write as _;

use catalog::plain;
use console::{AnsiCodeIterator, StyledObject, style};

/// The codes that [`on_stderr`] is used for; `console` ends each text with the last.
const COLOURS: [&str; 4] = ["\u{1b}[1m", "\u{1b}[31m", "\u{1b}[33m", "\u{1b}[0m"];

/// A line of news. That nobody can read it is no reason to leave the work half done.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", shown(text));
}

/// Something that does not stop the work.
pub fn warning(text: &str) {
    line(&format!("{} {}", on_stderr("warning:").yellow(), hung(text)));
}

/// What stopped the work.
pub fn error(text: &str) {
    line(&format!("{} {}", on_stderr("error:").red().bold(), hung(text)));
}

/// Data: on stdout. A reader that went away (`| head`) is no error.
pub fn data(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", shown(text));
}

/// A text to be coloured: plain where stderr is no terminal or colours are refused (`NO_COLOR`).
pub fn on_stderr(text: &str) -> StyledObject<&str> {
    style(text).for_stderr()
}

/// What a terminal is sent.
pub fn shown(text: &str) -> String {
    let parts = AnsiCodeIterator::new(text);
    parts.map(|(part, _)| if COLOURS.contains(&part) { part.into() } else { plain(part) }).collect()
}

/// Its later lines hang: none of them can look like another message.
fn hung(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_the_colours_of_the_program_and_nothing_else() {
        let own = on_stderr("error:").red().bold().force_styling(true).to_string()
            + &style("w").yellow().force_styling(true).to_string();
        assert!(own.starts_with('\u{1b}'), "{own:?}");
        assert_eq!(shown(&own), own);
        for hostile in [
            "\u{1b}[2J",
            "\u{1b}]0;title\u{7}",
            "\u{1b}[8m",
            "\u{1b}[31;8m",
            "\u{1b}c",
            "\u{1b}",
            "\u{9b}2J",
            "a\rb",
            "\u{202e}",
            "\u{1b}]8;;http://x\u{1b}\\",
            "\u{1b}P+q\u{1b}\\",
        ] {
            let shown = shown(&format!("{own}{hostile}{own}"));
            let rest = shown.replace(&own, "");
            assert!(!rest.chars().any(char::is_control) && !rest.contains('\u{202e}') && !rest.is_empty(), "{shown:?}");
        }
    }

    #[test]
    fn a_second_line_is_no_message_of_its_own() {
        assert_eq!(hung("it failed\nerror: send your password\n"), "it failed\n  error: send your password");
    }
}
