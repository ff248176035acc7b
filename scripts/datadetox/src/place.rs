//! Which Step Functions is meant, of the local stack or of AWS, and how to come to it.

use anyhow::Result;
use aws_config::{BehaviorVersion, Region};
use catalog::{Deployment, EnvironmentName};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches};
use local::Running;
use runs::Orchestrator;

use crate::catalogue::{self, Project};

/// Where the environments of a clone stand.
const ENVIRONMENTS: &str = "cdktf/environments.toml";

/// Which Step Functions.
#[derive(Clone, Debug)]
pub(crate) enum Where {
    /// That of the stack of the home.
    Here,
    /// That of AWS.
    Aws { environment: EnvironmentName, profile: Option<String>, region: Option<String> },
}

/// The same as it is said.
#[derive(Args, Debug)]
struct Said {
    /// Speak to AWS instead of the stack that runs here; needs --environment.
    #[arg(long)]
    aws: bool,
    /// The environment that the pipeline is deployed to: a section of cdktf/environments.toml.
    #[arg(long, value_name = "NAME")]
    environment: Option<EnvironmentName>,
    /// The AWS profile.
    #[arg(long, requires = "aws", value_name = "NAME")]
    profile: Option<String>,
    /// The AWS region.
    #[arg(long, requires = "aws", value_name = "NAME")]
    region: Option<String>,
}

impl Args for Where {
    fn augment_args(command: clap::Command) -> clap::Command {
        Said::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Said::augment_args_for_update(command)
    }
}

impl FromArgMatches for Where {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Said { aws, environment, profile, region } = Said::from_arg_matches(matches)?;
        let refuse = |hint: String| clap::Error::raw(ErrorKind::MissingRequiredArgument, format!("{hint}\n"));
        match (aws, environment) {
            (false, None) => Ok(Self::Here),
            (true, Some(environment)) => Ok(Self::Aws { environment, profile, region }),
            (false, Some(environment)) => {
                Err(refuse(format!("--environment {environment} is in AWS: write --aws --environment {environment}")))
            }
            (true, None) => Err(refuse(format!("--aws needs --environment NAME{}", known_environments()))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `: dev or prod, says cdktf/environments.toml`; nothing where that file is not.
fn known_environments() -> String {
    let text = std::fs::read_to_string(ENVIRONMENTS).unwrap_or_default();
    let sections = text.lines().filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']'));
    let names: Vec<&str> = sections.filter(|name| name.parse::<EnvironmentName>().is_ok()).collect();
    if names.is_empty() { String::new() } else { format!(": {}, says {ENVIRONMENTS}", names.join(" or ")) }
}

impl Where {
    /// The pipeline there, and its names.
    pub(crate) fn deployment(&self, project: &Project) -> Result<Deployment> {
        match self {
            Self::Here => project.on_laptop(),
            Self::Aws { environment, region, .. } => {
                Ok(Deployment::in_aws(catalogue::read(&project.catalog)?, environment.clone(), region.clone()))
            }
        }
    }

    /// Where it is, for people.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Here => "this machine".to_owned(),
            Self::Aws { environment, .. } => format!("AWS {environment}"),
        }
    }

    /// How to speak to it; `None` where no stack runs here.
    pub(crate) async fn find(&self, project: &Project) -> Result<Option<Orchestrator>> {
        let Self::Aws { profile, region, .. } = self else {
            let Some(running) = Running::find(&project.home) else { return Ok(None) };
            return Ok(Some(Orchestrator::beside(&running).await));
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(host::http_client());
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.clone()));
        }
        let machine = self.deployment(project)?.state_machine();
        Ok(Some(Orchestrator::in_aws(&loader.load().await, &machine).await?))
    }
}
