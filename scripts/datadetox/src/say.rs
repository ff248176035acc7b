//! What is said to a person: on stderr, so that stdout stays data.

#![expect(clippy::print_stderr, reason = "this is where the program speaks")]

use std::io::{IsTerminal as _, Write as _};

/// A line of news.
pub fn line(text: &str) {
    eprintln!("{text}");
}

/// Something that does not stop the work.
pub fn warning(text: &str) {
    line(&format!("{} {text}", paint("33", "warning:")));
}

/// What stopped the work.
pub fn error(text: &str) {
    line(&format!("{} {text}", paint("31;1", "error:")));
}

/// Data: on stdout. A reader that went away (`| head`) is no error.
pub fn data(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// `text` in a colour of the terminal, when stderr is one and colours are not refused (`NO_COLOR`).
#[must_use]
pub fn paint(code: &str, text: &str) -> String {
    if std::io::stderr().is_terminal() && local::environment::variable("NO_COLOR").is_none() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
