//! What is said to a person: on stderr, so that stdout stays data.

use std::io::Write as _;

use console::{StyledObject, style};

/// A line of news. That nobody can read it is no reason to leave the work half done.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Something that does not stop the work.
pub fn warning(text: &str) {
    line(&format!("{} {text}", on_stderr("warning:").yellow()));
}

/// What stopped the work.
pub fn error(text: &str) {
    line(&format!("{} {text}", on_stderr("error:").red().bold()));
}

/// Data: on stdout. A reader that went away (`| head`) is no error.
pub fn data(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A text to be coloured: plain where stderr is no terminal or colours are refused (`NO_COLOR`).
pub fn on_stderr(text: &str) -> StyledObject<&str> {
    style(text).for_stderr()
}
