//! Reads the fields of one object of a definition; what is wrong is told by name and place.

use serde_json::{Map, Value};

use crate::path::{Path, PathError, Reference};
use crate::template::Template;

/// A definition that cannot be run here.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct DefinitionError {
    /// The state, or `the definition`.
    pub place: String,
    /// What is wrong or not supported.
    pub what: String,
}

/// The fields of one object of the definition.
pub(crate) struct Fields<'f> {
    place: String,
    members: &'f Map<String, Value>,
}

impl<'f> Fields<'f> {
    pub(crate) fn of(place: &str, value: &'f Value) -> Result<Self, DefinitionError> {
        let error = || DefinitionError { place: place.to_owned(), what: "it is no object".to_owned() };
        Ok(Self { place: place.to_owned(), members: value.as_object().ok_or_else(error)? })
    }

    /// What the object is, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn error(&self, what: impl Into<String>) -> DefinitionError {
        DefinitionError { place: self.place.clone(), what: what.into() }
    }

    /// Refuses every field but these.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), DefinitionError> {
        match self.members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(self.error(format!("{key} is not supported"))),
            None => Ok(()),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'f Value> {
        self.members.get(key)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.error(format!("{key} is no text"))),
        }
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<String, DefinitionError> {
        self.text(key)?.ok_or_else(|| self.error(format!("{key} is missing")))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| self.error(format!("{key} is no whole number"))),
        }
    }

    pub(crate) fn list(&self, key: &str) -> Result<&'f [Value], DefinitionError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.error(format!("{key} is no list"))),
        }
    }

    /// A path; `None` is the whole. An explicit null, which would mean `{}`, is not supported.
    pub(crate) fn path(&self, key: &str) -> Result<Option<Path>, DefinitionError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => {
                Path::parse(text).map(Some).map_err(|error: PathError| self.error(format!("{key}: {error}")))
            }
            Some(_) => Err(self.error(format!("{key} must be a path"))),
        }
    }

    /// Where a result is put: the whole by default, nowhere for null.
    pub(crate) fn reference(&self, key: &str) -> Result<Option<Reference>, DefinitionError> {
        let text = match self.get(key) {
            Some(Value::Null) => return Ok(None),
            None => "$".to_owned(),
            Some(_) => self.required_text(key)?,
        };
        Reference::parse(&text).map(Some).map_err(|error| self.error(format!("{key}: {error}")))
    }

    pub(crate) fn template(&self, key: &str) -> Result<Option<Template>, DefinitionError> {
        self.get(key).map(Template::parse).transpose().map_err(|error| self.error(error.to_string()))
    }
}
