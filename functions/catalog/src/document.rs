//! A TOML document read key by key: every mistake is noted with its place, and reading goes on.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, suggestion};
use crate::sql::Ident;

/// A text, number or table with its place in the file.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) problems: Vec<Problem>,
}

impl Notes {
    pub(crate) fn add(&mut self, span: &Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.problems.push(Problem { span: span.clone(), message: message.into(), help });
    }

    /// Notes what `word` should have been, with the nearest of `known`.
    pub(crate) fn unknown<'k>(
        &mut self,
        span: &Range<usize>,
        message: String,
        word: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let help = suggestion(word, known.iter().copied())
            .or_else(|| (!known.is_empty()).then(|| format!("known here: {}", known.join(", "))));
        self.add(span, message, help);
    }

    pub(crate) fn ident(&mut self, word: &At<String>) -> Option<At<Ident>> {
        match Ident::new(word.value.clone()) {
            Ok(value) if value.as_str() == crate::ROW_VERSION => {
                self.add(&word.span, format!("the name {value} is taken by the pipeline itself"), None);
                None
            }
            Ok(value) => Some(At { value, span: word.span.clone() }),
            Err(error) => {
                self.add(&word.span, error.to_string(), None);
                None
            }
        }
    }
}

/// A table of the document, named as its header names it.
#[derive(Clone)]
pub(crate) struct Section<'d> {
    pub(crate) path: String,
    /// Of the header or key that opens it; where missing keys are reported.
    pub(crate) span: Range<usize>,
    table: &'d DeTable<'d>,
}

impl<'d> Section<'d> {
    pub(crate) fn root(table: &'d DeTable<'d>) -> Self {
        Self { path: String::new(), span: 0..0, table }
    }

    fn inside(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes every key that is not among `known`.
    pub(crate) fn only(&self, notes: &mut Notes, known: &[&str]) {
        for key in self.table.keys() {
            let word: &str = key.get_ref();
            if !known.contains(&word) {
                let place = if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path) };
                notes.unknown(&key.span(), format!("unknown key {word:?}{place}"), word, known.iter().copied());
            }
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(key)
    }

    fn missing(&self, notes: &mut Notes, key: &str, help: &str) {
        let place = if self.path.is_empty() { "the file".to_owned() } else { format!("[{}]", self.path) };
        notes.add(&self.span, format!("{place} lacks {key:?}"), Some(help.to_owned()));
    }

    /// A table under `key`; notes it when there is something else.
    pub(crate) fn section(&self, notes: &mut Notes, key: &str) -> Option<Section<'d>> {
        let (name, value) = self.table.get_key_value(key)?;
        let path = self.inside(key);
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { path, span: name.span(), table }),
            other => {
                notes.add(&value.span(), format!("{path} is {}, not a table", kind(other)), None);
                None
            }
        }
    }

    pub(crate) fn required_section(&self, notes: &mut Notes, key: &str, help: &str) -> Option<Section<'d>> {
        if !self.has(key) {
            self.missing(notes, key, help);
        }
        self.section(notes, key)
    }

    /// Every key that opens a table, in the order of the file.
    pub(crate) fn sections(&self, notes: &mut Notes) -> Vec<(At<String>, Section<'d>)> {
        self.names().into_iter().filter_map(|name| Some((name.clone(), self.section(notes, &name.value)?))).collect()
    }

    /// Every key, in the order of the file.
    pub(crate) fn names(&self) -> Vec<At<String>> {
        let mut names: Vec<_> =
            self.table.keys().map(|key| At { value: key.get_ref().to_string(), span: key.span() }).collect();
        // Headers may come in any order and dotted keys hoist their parent: the place decides.
        names.sort_by_key(|name| name.span.start);
        names
    }

    pub(crate) fn text(&self, notes: &mut Notes, key: &str) -> Option<At<String>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), span: value.span() }),
            other => {
                notes.add(&value.span(), format!("{} is {}, not a text", self.inside(key), kind(other)), None);
                None
            }
        }
    }

    pub(crate) fn required_text(&self, notes: &mut Notes, key: &str, help: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.missing(notes, key, help);
        }
        self.text(notes, key)
    }

    /// A constant as Postgres prints it: text, integer or boolean.
    pub(crate) fn constant(&self, notes: &mut Notes, key: &str) -> Option<At<String>> {
        let value = self.get(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(true) => "t".to_owned(),
            DeValue::Boolean(false) => "f".to_owned(),
            other => {
                notes.add(&value.span(), format!("{} is {}, not a constant", self.inside(key), kind(other)), None);
                return None;
            }
        };
        Some(At { value: text, span: value.span() })
    }

    pub(crate) fn flag(&self, notes: &mut Notes, key: &str) -> Option<At<bool>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(At { value: *flag, span: value.span() }),
            other => {
                notes.add(&value.span(), format!("{} is {}, not true or false", self.inside(key), kind(other)), None);
                None
            }
        }
    }

    /// A text or a list of texts.
    pub(crate) fn texts(&self, notes: &mut Notes, key: &str) -> Option<Vec<At<String>>> {
        let value = self.get(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            return self.text(notes, key).map(|text| vec![text]);
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(At { value: text.to_string(), span: item.span() }),
                other => {
                    notes.add(&item.span(), format!("{} holds {}, not a text", self.inside(key), kind(other)), None)
                }
            }
        }
        Some(texts)
    }

    /// A whole number within `bounds`, or `default` where there is none.
    pub(crate) fn number(
        &self,
        notes: &mut Notes,
        key: &str,
        bounds: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(value) = self.get(key) else { return default };
        let number = match value.get_ref() {
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if bounds.contains(&number) => number,
            _ => {
                let message =
                    format!("{} must be a whole number from {} to {}", self.inside(key), bounds.start(), bounds.end());
                notes.add(&value.span(), message, None);
                default
            }
        }
    }

    /// A duration such as `"5 minutes"`: a multiple of `step` within `bounds`, or `default` where there is none.
    pub(crate) fn duration(
        &self,
        notes: &mut Notes,
        key: &str,
        step: Duration,
        bounds: std::ops::RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        let Some(text) = self.text(notes, key) else {
            return default;
        };
        let whole = |duration: &Duration| duration.as_millis().is_multiple_of(step.as_millis());
        match humantime::parse_duration(&text.value) {
            Ok(duration) if bounds.contains(&duration) && whole(&duration) => duration,
            _ => {
                let print = |duration: Duration| humantime::format_duration(duration).to_string();
                let message = format!(
                    "{} must be a duration from {} to {} in steps of {}",
                    self.inside(key),
                    print(*bounds.start()),
                    print(*bounds.end()),
                    print(step)
                );
                notes.add(&text.span, message, Some("write for example \"5 minutes\"".to_owned()));
                default
            }
        }
    }
}

/// What a value is, for messages.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
