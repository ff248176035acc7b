//! Lists come in pages.

use serde_json::{Value, json};

use crate::refusal::Refusal;

/// One page of a list as the member `name`: 100 items or what is asked for, up to 1,000. The token is where the next page
/// starts.
pub(crate) fn answer(name: &str, items: Vec<Value>, input: &Value) -> Result<Value, Refusal> {
    let size = match input["maxResults"].as_u64() {
        None | Some(0) => 100,
        Some(size @ 1..=1_000) => usize::try_from(size).unwrap_or(1_000),
        Some(_) => return Err(Refusal::new("ValidationException", "maxResults must be at most 1000")),
    };
    let start = match input["nextToken"].as_str() {
        None => 0,
        Some(token) => token.parse().map_err(|_| Refusal::new("InvalidToken", format!("Invalid Token: '{token}'")))?,
    };
    let next = (start + size < items.len()).then(|| (start + size).to_string());
    let page: Vec<Value> = items.into_iter().skip(start).take(size).collect();
    let mut answer = json!({ name: page });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}
