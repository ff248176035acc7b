//! What Step Functions takes as the name of an execution.

use crate::refusal::Refusal;

/// Refuses a name that AWS would refuse, and `.` and `..`, which lead elsewhere in a path that they are made part of.
pub(crate) fn check(name: &str) -> Result<(), Refusal> {
    let no_character = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{10ffff}');
    let special = |c: char| "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    let refused = |c: char| c.is_whitespace() || c.is_control() || special(c) || no_character(c);
    if matches!(name, "" | "." | "..") || name.chars().count() > 80 || name.chars().any(refused) {
        let rule =
            "1 to 80 characters without white space, control characters or <>{}[]?*\"#%\\^|~`$&,;:/, not . or ..";
        return Err(Refusal::new("InvalidName", format!("Invalid Name: {name:?} is no execution name: {rule}")));
    }
    Ok(())
}

/// A name for an execution that was given none.
pub(crate) fn random() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_those_of_step_functions() {
        for name in ["2026-11-23T13-05-00.123Z", "d1f0-scheduled", "...", ".a", "Ünïcode!", &"n".repeat(80)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "a:b", "a\u{ffff}", &"n".repeat(81), "tab\t", "a%b"] {
            assert_eq!(check(name).map_err(|refusal| refusal.code), Err("InvalidName"), "{name}");
        }
    }
}
