//! A catalogue where it runs: every name of everything that is made for it, and what each function reaches.
//!
//! Whoever names a function, bucket, machine, topic, secret, log group, alarm or variable, or prints a command, asks here;
//! what is deployed, what runs on a laptop and what an operator types cannot differ.

mod access;
mod command;
mod ending;
mod function;
pub mod metric;
pub mod variable;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use access::Access;
pub use command::{Verb, quoted};
pub use ending::Ending;
pub use function::{Function, PROGRAMS};

use crate::contract::side::Side;
use crate::key::Bucket;
use crate::model::Catalog;
use crate::sql::shorten;

/// AWS Lambda's limit for a function name.
const MAX_FUNCTION_NAME: usize = 64;
/// The longest name of an environment: with the pipeline's it begins names that AWS limits.
const MAX_ENVIRONMENT_NAME: usize = 8;

/// The name of an environment in AWS: `dev`. One to eight lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvironmentName(String);

/// Why a text is no environment's name.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no environment: use up to {MAX_ENVIRONMENT_NAME} lower-case letters and digits")]
pub struct EnvironmentNameError(String);

impl EnvironmentName {
    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvironmentName {
    type Err = EnvironmentNameError;

    fn from_str(name: &str) -> Result<Self, EnvironmentNameError> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if name.is_empty() || name.len() > MAX_ENVIRONMENT_NAME || !name.chars().all(legal) {
            return Err(EnvironmentNameError(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a pipeline runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// On a laptop; `options` are what its commands must be told, each with its value.
    Laptop { options: Vec<(&'static str, String)> },
    /// In an environment of AWS; `region` where it is known.
    Aws { environment: EnvironmentName, region: Option<String> },
}

/// A catalogue where it runs.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The catalogue.
    pub catalog: Arc<Catalog>,
    place: Place,
}

impl Deployment {
    /// On a laptop, with the usual catalogue in the usual folder.
    #[must_use]
    pub fn on_laptop(catalog: Arc<Catalog>) -> Self {
        Self::on_laptop_with(catalog, [])
    }

    /// On a laptop with options, `--home` with a folder for one: the commands it prints name them.
    #[must_use]
    pub fn on_laptop_with(catalog: Arc<Catalog>, options: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self { catalog, place: Place::Laptop { options: options.into_iter().collect() } }
    }

    /// In an environment of AWS. The commands it prints name the region where it is given.
    #[must_use]
    pub fn in_aws(catalog: Arc<Catalog>, environment: EnvironmentName, region: Option<String>) -> Self {
        Self { catalog, place: Place::Aws { environment, region } }
    }

    /// What begins every name: `totesys` on a laptop, `totesys-dev` in AWS, where environments share an account.
    #[must_use]
    pub fn prefix(&self) -> String {
        let pipeline = &self.catalog.pipeline.name;
        match &self.place {
            Place::Laptop { .. } => pipeline.clone(),
            Place::Aws { environment, .. } => format!("{pipeline}-{environment}"),
        }
    }

    fn named(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix())
    }

    /// The name of a function in Lambda: at most 64 letters, digits, hyphens and underscores, unique in the catalogue.
    #[must_use]
    pub fn function(&self, function: Function<'_>) -> String {
        let stem = self.named(function.program());
        let Some(subject) = function.subject() else { return stem };
        let legal: String =
            subject.as_str().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        let name = format!("{stem}-{legal}");
        if legal == subject.as_str() {
            shorten(&name, MAX_FUNCTION_NAME)
        } else {
            // Two names that differ only in what was replaced must not become one.
            let digest = crate::digest::hex(subject.as_str().as_bytes());
            format!("{}-{}", shorten(&name, MAX_FUNCTION_NAME - 9), &digest[..8])
        }
    }

    /// The function of that name, if it is one of this deployment.
    #[must_use]
    pub fn function_named(&self, name: &str) -> Option<Function<'_>> {
        self.catalog.all_functions().find(|function| self.function(*function) == name)
    }

    /// The log group of a function.
    #[must_use]
    pub fn log_group(&self, function: Function<'_>) -> String {
        format!("/aws/lambda/{}", self.function(function))
    }

    /// The prefix of every function's log group.
    #[must_use]
    pub fn log_groups(&self) -> String {
        format!("/aws/lambda/{}-", self.prefix())
    }

    /// The state machine.
    #[must_use]
    pub fn state_machine(&self) -> String {
        self.named("etl")
    }

    /// The log group of the state machine. Under this prefix Step Functions shares one resource policy among all of its
    /// log groups.
    #[must_use]
    pub fn state_machine_log_group(&self) -> String {
        format!("/aws/vendedlogs/states/{}", self.state_machine())
    }

    /// The prefix of that log group.
    #[must_use]
    pub fn state_machine_log_groups(&self) -> String {
        format!("/aws/vendedlogs/states/{}-", self.prefix())
    }

    /// A bucket of the lake. On a laptop that is its whole name; names of buckets are shared by all of AWS, so there
    /// [`Deployment::bucket_in`] adds the account.
    #[must_use]
    pub fn bucket(&self, bucket: Bucket) -> String {
        self.named(bucket.name())
    }

    /// A bucket of the lake in an AWS account.
    #[must_use]
    pub fn bucket_in(&self, bucket: Bucket, account: &str) -> String {
        format!("{}-{account}", self.bucket(bucket))
    }

    /// The bucket that functions are deployed from, in an AWS account.
    #[must_use]
    pub fn artefacts_in(&self, account: &str) -> String {
        format!("{}-{account}", self.named("artefacts"))
    }

    /// The secret with the credentials of a database.
    #[must_use]
    pub fn secret(&self, side: Side) -> String {
        format!("{}/{side}", self.prefix())
    }

    /// The topic that alerts go to.
    #[must_use]
    pub fn topic(&self) -> String {
        self.named("alerts")
    }

    /// The schedule that starts runs.
    #[must_use]
    pub fn schedule(&self) -> String {
        self.named("schedule")
    }

    /// The queue of runs that could not be started.
    #[must_use]
    pub fn missed_runs(&self) -> String {
        self.named("missed")
    }

    /// The rule that tells of runs which ended so.
    #[must_use]
    pub fn ended_runs(&self, ending: Ending) -> String {
        self.named(&format!("ended-{}", ending.word()))
    }

    /// The role that a workflow deploys with.
    #[must_use]
    pub fn deploy_role(&self) -> String {
        self.named("deploy")
    }

    /// The warehouse's server and everything around it, where the stack makes one.
    #[must_use]
    pub fn warehouse_server(&self) -> String {
        self.named("warehouse")
    }

    /// An alarm.
    #[must_use]
    pub fn alarm(&self, what: &str) -> String {
        self.named(what)
    }

    /// What follows the prefix in a function's name: how alarms call it.
    #[must_use]
    pub fn short_name(&self, function: Function<'_>) -> String {
        let name = self.function(function);
        name.strip_prefix(&self.named("")).unwrap_or(&name).to_owned()
    }

    /// The dashboard.
    #[must_use]
    pub fn dashboard(&self) -> String {
        self.prefix()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Arc<Catalog> {
        let text = "[pipeline]\nname = 'shop'\n[source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\n\
                    columns = { id = 'integer' }\n[dimensions.dim_staff]\nfrom = 'staff'\ncolumns = { id = 'id' }\n";
        Arc::new(Catalog::parse("p", text).unwrap())
    }

    fn dev() -> Deployment {
        Deployment::in_aws(catalog(), "dev".parse().unwrap(), Some("eu-west-2".to_owned()))
    }

    #[test]
    fn a_laptop_and_an_environment_name_the_same_things_apart() {
        let laptop = Deployment::on_laptop(catalog());
        let names = |deployment: &Deployment| {
            [
                deployment.function(Function::Plan),
                deployment.state_machine(),
                deployment.topic(),
                deployment.bucket(Bucket::Ingestion),
                deployment.secret(Side::Source),
            ]
        };
        assert_eq!(names(&laptop), ["shop-plan", "shop-etl", "shop-alerts", "shop-ingestion", "shop/source"]);
        assert_eq!(
            names(&dev()),
            ["shop-dev-plan", "shop-dev-etl", "shop-dev-alerts", "shop-dev-ingestion", "shop-dev/source"]
        );
        assert_eq!(dev().bucket_in(Bucket::Processed, "123"), "shop-dev-processed-123");
    }

    #[test]
    fn a_function_is_known_by_its_name() {
        let dev = dev();
        for function in dev.catalog.all_functions() {
            let name = dev.function(function);
            let found = dev.function_named(&name).unwrap();
            assert_eq!((found.program(), found.subject()), (function.program(), function.subject()));
        }
        assert!(dev.function_named("shop-plan").is_none(), "another environment's");
        let table = &dev.catalog.source.tables[0];
        assert_eq!(dev.short_name(Function::Extract(table)), "extract-staff");
    }

    #[test]
    fn names_of_environments_are_short_words() {
        for name in ["dev", "prod2", "12345678"] {
            assert_eq!(name.parse::<EnvironmentName>().unwrap().as_str(), name);
        }
        for name in ["", "Prod", "a-b", "123456789"] {
            assert!(name.parse::<EnvironmentName>().is_err(), "{name}");
        }
    }
}
