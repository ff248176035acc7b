//! Alerts: what `halt` is asked to tell people of, and what it answers.
//!
//! A state machine cannot join a list into lines, nor put text with quotes into a message; so a function writes it.

use serde::{Deserialize, Serialize};

use crate::contract::fault::Fault;
use crate::contract::message::{Failure, HaltRequest, Phase};

/// A message for people, as SNS takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub message: String,
}

/// What `halt` is called for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HaltCall {
    /// To write an alert.
    Tell(TellRequest),
    /// To hold a failed execution.
    Hold(HaltRequest),
}

/// What `halt` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HaltAnswer {
    /// The execution was redriven, and goes on with this phase.
    GoOn(Phase),
    /// The alert.
    Told(Told),
}

/// An alert to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellRequest {
    /// What happened.
    pub tell: News,
    /// What begins every name of the deployment: `totesys-dev`.
    pub deployment: String,
    /// Name of the execution.
    pub run: String,
    /// Its ARN.
    pub execution: String,
    /// What people type here.
    pub commands: Commands,
}

/// What people are told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A phase failed, and the execution is held.
    Failed {
        /// The phase.
        phase: Phase,
        /// What failed in it.
        failures: Vec<Failure>,
    },
    /// The warehouse could not take some rows.
    Rejected {
        /// How many.
        rows: u64,
        /// The question which, and why.
        query: String,
    },
    /// The run goes on, but a person should hear of this.
    Noticed {
        /// A sentence each.
        sentences: Vec<String>,
    },
}

/// Commands of a deployment, with [`Commands::RUN`] where the name of a run belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Look at the run.
    pub show: String,
    /// Let it go on.
    pub redrive: String,
    /// Start another one.
    pub start: String,
}

impl Commands {
    /// Stands for the name of a run. It comes before every option, so the first one is always it.
    pub const RUN: &str = "RUN";

    /// The commands about the run of that name.
    #[must_use]
    pub fn about(&self, run: &str) -> Self {
        let put = |command: &str| command.replacen(Self::RUN, run, 1);
        Self { show: put(&self.show), redrive: put(&self.redrive), start: self.start.clone() }
    }
}

impl Phase {
    /// Every phase, in their order.
    pub const ALL: [Self; 5] = [Self::Checkpoint, Self::Plan, Self::Extract, Self::Transform, Self::Load];

    /// The fault of an execution that is held because this phase failed.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::Checkpoint => Fault::CheckpointFailed,
            Self::Plan => Fault::PlanFailed,
            Self::Extract => Fault::ExtractFailed,
            Self::Transform => Fault::TransformFailed,
            Self::Load => Fault::LoadFailed,
        }
    }
}

impl Failure {
    /// The cause for people, and apart from it what to do, where the function said so: an error's report taken apart.
    #[must_use]
    pub fn parted(&self) -> (String, Option<String>) {
        let message = self.message();
        let parts = message.strip_suffix(')').and_then(|inside| inside.rsplit_once(" (to do: "));
        match parts {
            Some((what, remedy)) => (what.to_owned(), Some(remedy.to_owned())),
            None => (message, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::contract::fault::Error;

    #[test]
    fn the_report_of_an_error_is_taken_apart_again() {
        for fault in Fault::ALL {
            let report = Error::new(fault, "it (this one) failed").report();
            let cause = json!({ "errorType": fault.name(), "errorMessage": report }).to_string();
            let failure = Failure { subject: "t".into(), error: fault.name().into(), cause };
            assert_eq!(failure.parted(), ("it (this one) failed".to_owned(), Some(fault.remedy().to_owned())));
        }
        let bare = Failure { subject: "t".into(), error: "E".into(), cause: "died (of it)".into() };
        assert_eq!(bare.parted(), ("died (of it)".to_owned(), None));
    }

    #[test]
    fn what_halt_is_called_for_is_known_by_its_members() {
        let hold = json!({ "phase": "Load", "noted": 0, "now": 1, "failures": [] });
        assert!(matches!(serde_json::from_value(hold), Ok(HaltCall::Hold(_))));
        let commands = json!({ "show": "show RUN", "redrive": "redrive RUN --home RUN", "start": "start" });
        let tell = json!({
            "tell": { "rejected": { "rows": 3, "query": "SELECT" } }, "deployment": "shop", "run": "r", "execution": "arn",
            "commands": commands,
        });
        let Ok(HaltCall::Tell(request)) = serde_json::from_value(tell) else { panic!("it is to tell") };
        assert_eq!(request.commands.about("first").redrive, "redrive first --home RUN");
    }
}
