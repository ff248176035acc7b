//! JSONPath as Step Functions reads it: a definite path gives a value and must exist, any other gives a list.

use serde_json::Value;
use serde_json_path::JsonPath;

/// How many brackets of a path may lie in one another: a filter in a filter has four.
const MAX_BRACKETS: usize = 8;

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    /// `$`
    Input,
    /// `$$`
    Context,
}

/// A parsed path.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    text: String,
    root: Root,
    query: JsonPath,
    definite: bool,
}

/// A path that cannot be read, or is more than the place allows.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no path: {why}")]
pub(crate) struct PathError {
    pub(crate) text: String,
    pub(crate) why: String,
}

impl Path {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let error = |why: String| PathError { text: text.to_owned(), why };
        let (root, query) = match text.strip_prefix("$$") {
            Some(rest) => (Root::Context, format!("${rest}")),
            None => (Root::Input, text.to_owned()),
        };
        if !query.starts_with('$') {
            return Err(error("it does not start with $".to_owned()));
        }
        // The parser is recursive, and takes twice the time for every filter that lies in another.
        if nests_too_deep(&query) {
            return Err(error(format!("its brackets nest deeper than {MAX_BRACKETS} levels")));
        }
        // The parser takes a text that ends there for one whose rest is still to come, and panics.
        if ["\\u", "\\uD", "\\ud"].iter().any(|begun| query.ends_with(begun)) {
            return Err(error("it ends within an escaped character".to_owned()));
        }
        let parsed = JsonPath::parse(&query).map_err(|cause| error(cause.to_string()))?;
        Ok(Self { text: text.to_owned(), root, definite: !is_indefinite(&query), query: parsed })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a definite path that leads nowhere stops making sense, in AWS' words.
    pub(crate) fn missing(&self, input: &Value) -> String {
        let names: Vec<&str> = self.text.split(['.', '[', ']']).map(|name| name.trim_matches(['\'', '"'])).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty() && !name.starts_with('$')).collect();
        let shown = |names: &[&str]| names.iter().map(|name| format!("['{name}']")).collect::<String>();
        let mut place = input;
        for (depth, name) in names.iter().enumerate() {
            match place.get(name) {
                Some(inner) => place = inner,
                None if depth + 1 < names.len() => {
                    return format!(
                        "Invalid path '{}' : Missing property in path ${}",
                        self.text,
                        shown(&names[..=depth])
                    );
                }
                None => break,
            }
        }
        format!("Invalid path '{}' : No results for path: ${}", self.text, shown(&names))
    }

    /// The value, or `None` when a definite path leads nowhere.
    pub(crate) fn find(&self, input: &Value, context: &Value) -> Option<Value> {
        let root = match self.root {
            Root::Input => input,
            Root::Context => context,
        };
        let nodes = self.query.query(root).all();
        if self.definite {
            nodes.first().map(|value| (*value).clone())
        } else {
            Some(nodes.into_iter().cloned().collect())
        }
    }
}

/// Whether a path can give several values: a wildcard, slice, filter, union or descent outside of quotes.
fn is_indefinite(query: &str) -> bool {
    let mut before = ' ';
    outside_quotes(query).any(|c| {
        let descends = std::mem::replace(&mut before, c) == '.' && c == '.';
        descends || matches!(c, '*' | '?' | ':' | ',')
    })
}

/// Whether more brackets lie in one another than [`MAX_BRACKETS`].
fn nests_too_deep(query: &str) -> bool {
    let mut depth = 0_usize;
    outside_quotes(query).any(|c| {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_BRACKETS
    })
}

/// What stands in no quoted name or text; of those their opening quote alone.
fn outside_quotes(query: &str) -> impl Iterator<Item = char> {
    let mut chars = query.chars();
    std::iter::from_fn(move || {
        let c = chars.next()?;
        if matches!(c, '\'' | '"') {
            while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                if inner == '\\' {
                    chars.next();
                }
            }
        }
        Some(c)
    })
}

/// A reference path: where a result is put. `$.a.b`, names only, as ResultPath allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference(Vec<String>);

impl Reference {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let error = |why: &str| PathError { text: text.to_owned(), why: why.to_owned() };
        let rest = text.strip_prefix('$').ok_or_else(|| error("it does not start with $"))?;
        if rest.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let names = rest.strip_prefix('.').ok_or_else(|| error("only names are supported, as in $.a.b"))?.split('.');
        let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        names
            .map(|name| plain(name).then(|| name.to_owned()))
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| error("only names are supported, as in $.a.b"))
    }

    /// `input` with `result` at this place; `None` when something on the way is no object.
    pub(crate) fn put(&self, mut input: Value, result: Value) -> Option<Value> {
        let mut place = &mut input;
        for name in &self.0 {
            if place.is_null() {
                *place = Value::Object(serde_json::Map::new());
            }
            place = place.as_object_mut()?.entry(name.clone()).or_insert(Value::Null);
        }
        *place = result;
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(path: &str) -> Option<Value> {
        let input = json!({"a": {"b c": [1, 2]}, "list": [{"status": "failed", "n": 1}, {"status": "done", "n": 2}]});
        Path::parse(path).unwrap().find(&input, &json!({"Execution": {"Id": "arn"}}))
    }

    #[test]
    fn a_definite_path_must_exist_and_any_other_gives_a_list() {
        assert_eq!(find("$.a['b c'][1]"), Some(json!(2)));
        assert_eq!(find("$.a.nothing"), None);
        assert_eq!(find("$.list[*].status"), Some(json!(["failed", "done"])));
        assert_eq!(find("$.nothing[*].x"), Some(json!([])));
        assert_eq!(find("$.list[?(@.status == 'failed')]"), Some(json!([{"status": "failed", "n": 1}])));
        assert_eq!(find("$$.Execution.Id"), Some(json!("arn")));
        assert_eq!(find("$.a['x*y']"), None, "quoted, so definite");
        assert_eq!(find("$['\\\\'][*]"), Some(json!([])), "the backslash is escaped and escapes no quote");
    }

    /// Found by fuzzing: the parser panics at these.
    #[test]
    fn a_path_that_ends_within_an_escaped_character_is_refused() {
        for path in ["$.a['\\u", "$['\\uD", "$$['\\ud", "$['\\uD83D\\u", "$[\"\\uD83D\\ud", "$[?@.a == '\\uD83D\\uD"] {
            assert_eq!(Path::parse(path).unwrap_err().why, "it ends within an escaped character", "{path}");
        }
        for path in ["$['\\uD8", "$['\\uD83D\\uDC", "$['\\u00", "$['\\"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
        assert!(Path::parse("$['\\uD83D\\uDE00']").is_ok());
    }

    #[test]
    fn brackets_in_brackets_are_refused_before_they_outgrow_the_stack_or_the_day() {
        let deep = format!("$[?{}", "(".repeat(100_000));
        let slow = format!("$[?@.a{}{}]", "[?@.a".repeat(30), "]".repeat(30));
        for path in [deep, slow] {
            assert_eq!(Path::parse(&path).unwrap_err().why, "its brackets nest deeper than 8 levels");
        }
        assert!(Path::parse("$.a['((((((((((']").is_ok(), "quoted, so no brackets");
        assert!(Path::parse("$[?(@.a[?(@.b == 1)])]").is_ok());
    }

    #[test]
    fn a_result_is_put_where_it_belongs() {
        let put = |path: &str| Reference::parse(path).unwrap().put(json!({"x": 1}), json!(2));
        assert_eq!(put("$"), Some(json!(2)));
        assert_eq!(put("$.y.z"), Some(json!({"x": 1, "y": {"z": 2}})));
        assert_eq!(put("$.x.y"), None);
        assert!(Reference::parse("$.a[0]").is_err() && Reference::parse("a").is_err());
    }
}
