//! What the environment says. Read here alone, once, and every missing name told together.

use std::path::PathBuf;

use catalog::{Catalog, Error, Fault, Result, environment};

use crate::postgres::Side;

/// Which settings a function cannot do without.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The buckets and the catalogue.
    pub lake: bool,
    /// The secret with the source credentials.
    pub source: bool,
    /// The secret with the warehouse credentials.
    pub warehouse: bool,
}

impl Needs {
    /// The buckets and the catalogue, no database.
    pub const LAKE: Self = Self { lake: true, source: false, warehouse: false };
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
        Self::read(needs, |name| {
            #[expect(clippy::disallowed_methods, reason = "this is where a function reads its environment")]
            std::env::var(name).ok()
        })
    }

    fn read(needs: Needs, lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
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
            catalog: get(environment::CATALOG, false)
                .map_or_else(|| PathBuf::from(task_root).join("pipeline.toml"), PathBuf::from),
            ingestion_bucket: get(environment::INGESTION_BUCKET, needs.lake).unwrap_or_default(),
            processed_bucket: get(environment::PROCESSED_BUCKET, needs.lake).unwrap_or_default(),
            source_secret: get(environment::SOURCE_SECRET, needs.source),
            warehouse_secret: get(environment::WAREHOUSE_SECRET, needs.warehouse),
            warehouse_place: Place {
                host: get(environment::WAREHOUSE_HOST, false),
                database: get(environment::WAREHOUSE_DATABASE, false),
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
        let needs = Needs { source: true, ..Needs::LAKE };
        let lookup = |name: &str| (name == "DATADETOX_INGESTION_BUCKET").then(|| "raw".to_owned());
        let error = Settings::read(needs, lookup).unwrap_err();
        assert_eq!(error.to_string(), "the environment lacks DATADETOX_PROCESSED_BUCKET, DATADETOX_SOURCE_SECRET");
        assert_eq!(error.fault(), Fault::Misconfigured);
    }

    #[test]
    fn the_catalogue_lies_beside_the_program_unless_said_otherwise() {
        let needs = Needs { lake: false, source: false, warehouse: false };
        let settings =
            Settings::read(needs, |name| (name == "LAMBDA_TASK_ROOT").then(|| "/var/task".to_owned())).unwrap();
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
        let needs = Needs { lake: false, source: true, warehouse: true };
        let settings = Settings::read(needs, |name| name.starts_with("DATADETOX_").then(|| name.to_owned())).unwrap();
        let place = Place {
            host: Some("DATADETOX_WAREHOUSE_HOST".to_owned()),
            database: Some("DATADETOX_WAREHOUSE_DATABASE".to_owned()),
        };
        assert_eq!(settings.secret(Side::Warehouse).unwrap(), ("DATADETOX_WAREHOUSE_SECRET", place));
        assert_eq!(settings.secret(Side::Source).unwrap(), ("DATADETOX_SOURCE_SECRET", Place::default()));
    }
}
