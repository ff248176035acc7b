//! What the environment says. Read here alone, once, and every missing name told together.

use std::path::PathBuf;

use catalog::deployment::variable;
use catalog::key::Bucket;
use catalog::{Catalog, Error, Fault, Result, Side};

/// Which settings a function cannot do without.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The database whose credentials it reads.
    database: Option<Side>,
}

impl Needs {
    /// The buckets and the catalogue, no database.
    pub const LAKE: Self = Self { database: None };
    /// The buckets, the catalogue, and the source's credentials.
    pub const SOURCE: Self = Self { database: Some(Side::Source) };
    /// The buckets, the catalogue, and the warehouse's credentials.
    pub const WAREHOUSE: Self = Self { database: Some(Side::Warehouse) };
}

/// The settings of a function, as they were said.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `AWS_LAMBDA_FUNCTION_NAME`.
    pub function_name: String,
    /// `DATADETOX_CATALOG`, or `pipeline.toml` beside the program.
    pub catalog: PathBuf,
    /// `DATADETOX_INGESTION_BUCKET`.
    pub ingestion_bucket: String,
    /// `DATADETOX_PROCESSED_BUCKET`.
    pub processed_bucket: String,
    source_secret: Option<String>,
    warehouse_secret: Option<String>,
    warehouse_place: Place,
}

/// `_HANDLER`, as Lambda sets it: the handler that the function is deployed with.
#[must_use]
pub fn handler() -> String {
    variable_of_process("_HANDLER").unwrap_or_default()
}

/// `RUST_LOG`: what is logged, by module.
pub(crate) fn log_filter() -> Option<String> {
    variable_of_process("RUST_LOG")
}

#[expect(clippy::disallowed_methods, reason = "this is where a function reads its environment")]
fn variable_of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a database is, as far as its secret does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: Option<String>,
    pub(crate) database: Option<String>,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// `Misconfigured` with the name of every needed setting that is missing.
    pub fn from_environment(needs: Needs) -> Result<Self> {
        Self::of(needs, variable_of_process)
    }

    /// Reads another environment than the process', variable by variable.
    ///
    /// # Errors
    /// The same.
    pub fn of(needs: Needs, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut missing = Vec::new();
        let mut get = |name: &'static str, needed: bool| {
            let value = lookup(name).filter(|value| !value.is_empty());
            if needed && value.is_none() {
                missing.push(name);
            }
            value
        };
        let task_root = get("LAMBDA_TASK_ROOT", false).unwrap_or_else(|| ".".to_owned());
        let settings = Self {
            function_name: get("AWS_LAMBDA_FUNCTION_NAME", false).unwrap_or_default(),
            catalog: get(variable::CATALOG, false)
                .map_or_else(|| PathBuf::from(task_root).join("pipeline.toml"), PathBuf::from),
            ingestion_bucket: get(variable::bucket(Bucket::Ingestion), true).unwrap_or_default(),
            processed_bucket: get(variable::bucket(Bucket::Processed), true).unwrap_or_default(),
            source_secret: get(variable::secret(Side::Source), needs.database == Some(Side::Source)),
            warehouse_secret: get(variable::secret(Side::Warehouse), needs.database == Some(Side::Warehouse)),
            warehouse_place: Place {
                host: get(variable::WAREHOUSE_HOST, false),
                database: get(variable::WAREHOUSE_DATABASE, false),
            },
        };
        if missing.is_empty() {
            Ok(settings)
        } else {
            Err(Error::new(Fault::Misconfigured, format!("the environment lacks {}", missing.join(", "))))
        }
    }

    pub(crate) fn catalog(&self) -> Result<Catalog> {
        let name = self.catalog.display().to_string();
        let text = std::fs::read_to_string(&self.catalog)
            .map_err(|error| Error::because(Fault::Misconfigured, format!("cannot read {name}"), error))?;
        Catalog::parse(&name, &text)
            .map_err(|problems| Error::because(Fault::Misconfigured, format!("{name} has mistakes"), problems))
    }

    /// The secret of a database, and what is known of it beside.
    pub(crate) fn secret(&self, side: Side) -> Result<(&str, Place)> {
        let (id, place) = match side {
            Side::Source => (&self.source_secret, Place::default()),
            Side::Warehouse => (&self.warehouse_secret, self.warehouse_place.clone()),
        };
        let id = id.as_deref().ok_or_else(|| {
            Error::new(Fault::Misconfigured, format!("this function has no credentials for the {side}"))
        })?;
        Ok((id, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_name_is_told_at_once() {
        let needs = Needs::SOURCE;
        let lookup = |name: &str| (name == "DATADETOX_INGESTION_BUCKET").then(|| "raw".to_owned());
        let error = Settings::of(needs, lookup).unwrap_err();
        assert_eq!(error.to_string(), "the environment lacks DATADETOX_PROCESSED_BUCKET, DATADETOX_SOURCE_SECRET");
        assert_eq!(error.fault(), Fault::Misconfigured);
    }

    #[test]
    fn the_catalogue_lies_beside_the_program_unless_said_otherwise() {
        let lookup = |name: &str| match name {
            "LAMBDA_TASK_ROOT" => Some("/var/task".to_owned()),
            name if name.ends_with("_BUCKET") => Some("bucket".to_owned()),
            _ => None,
        };
        let settings = Settings::of(Needs::LAKE, lookup).unwrap();
        assert_eq!(settings.catalog, PathBuf::from("/var/task/pipeline.toml"));
        let error = settings.catalog().unwrap_err();
        assert!(error.report().starts_with("cannot read /var/task/pipeline.toml: No such file"), "{}", error.report());
        assert_eq!(
            settings.secret(Side::Warehouse).unwrap_err().to_string(),
            "this function has no credentials for the warehouse"
        );
    }

    #[test]
    fn a_place_is_that_of_the_warehouse_alone() {
        let settings =
            Settings::of(Needs::WAREHOUSE, |name| name.starts_with("DATADETOX_").then(|| name.to_owned())).unwrap();
        let place = Place {
            host: Some("DATADETOX_WAREHOUSE_HOST".to_owned()),
            database: Some("DATADETOX_WAREHOUSE_DATABASE".to_owned()),
        };
        assert_eq!(settings.secret(Side::Warehouse).unwrap(), ("DATADETOX_WAREHOUSE_SECRET", place));
        assert_eq!(settings.secret(Side::Source).unwrap(), ("DATADETOX_SOURCE_SECRET", Place::default()));
    }
}
