//! How deep a value may nest: what is read, shown and written by recursion must not outgrow a stack, nor the parser that
//! reads it again.

use serde_json::Value;

/// How many arrays and objects of an execution's data may lie in one another. A parser takes 127, and a journal, a history
/// and the messages of services wrap the data in a few of their own.
pub const MAX_NESTING: usize = 64;

/// Whether more arrays and objects lie in one another than [`MAX_NESTING`].
#[must_use]
pub fn nests_too_deep(value: &Value) -> bool {
    exceeds(value, MAX_NESTING)
}

/// It goes no deeper than is asked.
fn exceeds(value: &Value, levels: usize) -> bool {
    let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => return false,
    };
    levels.checked_sub(1).is_none_or(|levels| inner.any(|value| exceeds(value, levels)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arrays_and_objects_count_alike_and_what_lies_in_them_does_not() {
        let mut value = json!("text");
        for level in 0..MAX_NESTING {
            assert!(!nests_too_deep(&value), "{level}");
            value = if level % 2 == 0 { json!([1, value]) } else { json!({ "first": 1, "second": value }) };
        }
        assert!(!nests_too_deep(&value));
        assert!(nests_too_deep(&json!([value])) && nests_too_deep(&json!({ "a": value })));
    }
}
