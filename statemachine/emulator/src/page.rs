//! Lists come in pages.

use serde_json::{Value, json};

use crate::refusal::Refusal;

/// How many items one page has: 100, or what is asked for, up to 1,000.
pub(crate) fn size(input: &Value) -> Result<usize, Refusal> {
    match input["maxResults"].as_u64() {
        None | Some(0) => Ok(100),
        Some(size @ 1..=1_000) => Ok(usize::try_from(size).unwrap_or(1_000)),
        Some(_) => Err(Refusal::new("ValidationException", "maxResults must be at most 1000")),
    }
}

/// Where the page starts, as the token of the page before says and `parse` reads it.
pub(crate) fn start<T>(input: &Value, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
    let refused = |token| Refusal::new("InvalidToken", format!("Invalid Token: '{token}'"));
    input["nextToken"].as_str().map(|token| parse(token).ok_or_else(|| refused(token))).transpose()
}

/// One page of what `name` is a list of, and where the next one starts.
pub(crate) fn answer(name: &str, page: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = json!({ name: page });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}

/// Items from a place on, and the place behind them if there are more.
pub(crate) fn slice<T>(items: &[T], start: usize, size: usize) -> (&[T], Option<usize>) {
    let start = start.min(items.len());
    let end = start.saturating_add(size).min(items.len());
    (&items[start..end], (end < items.len()).then_some(end))
}
