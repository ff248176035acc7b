//! What can go wrong, under the names that Step Functions, alarms and people know it by.
//!
//! One table decides for every fault whether a retry can help and what the operator should do. The Retry blocks of the
//! state machine are generated from it.

use std::fmt;

use crate::enumeration::enumeration;
use crate::plain;

enumeration! {
    /// A kind of failure. Its wire name never changes: state machines and alarms match on it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Fault {
        /// The source does not answer, or the connection broke.
        SourceUnavailable,
        /// The source answers that it cannot now: a lock, too many connections, a deadlock, a cancelled statement.
        SourceBusy,
        /// Wrong password, no such role, or SELECT is not granted.
        SourceAccessDenied,
        /// The server of the source has no database of that name.
        SourceNotFound,
        /// A mapped table or column is gone or of another type.
        SourceSchemaChanged,
        /// The source refuses a statement for another reason.
        SourceRefused,
        /// The source is another server or database than the one that the warehouse's rows came from.
        SourceReplaced,
        /// The source crashed, was put back or failed over in the middle of a batch.
        SourceRestarted,
        /// S3 does not answer or asks to slow down.
        LakeUnavailable,
        /// S3 denies the request, or the bucket does not exist.
        LakeAccessDenied,
        /// An object that a manifest names is missing, cut short or altered.
        LakeCorrupt,
        /// The warehouse does not answer, or the connection broke.
        WarehouseUnavailable,
        /// The warehouse answers that it cannot now.
        WarehouseBusy,
        /// Wrong password, no such role, or a privilege is missing.
        WarehouseAccessDenied,
        /// The server of the warehouse has no database of that name.
        WarehouseNotFound,
        /// A warehouse table has another shape than the catalogue says.
        WarehouseSchemaMismatch,
        /// A warehouse table belongs to another pipeline.
        WarehouseTargetTaken,
        /// The warehouse is the source: a target would be loaded into a table that is read.
        WarehouseIsSource,
        /// A warehouse table, or code on it, belongs to a role that could have anything run with the loader's rights.
        WarehouseUntrusted,
        /// The warehouse refuses a statement for another reason.
        WarehouseRefused,
        /// More rows than the limit have values that the warehouse cannot take.
        DataRejected,
        /// Step Functions does not answer the question which executions run.
        OrchestratorUnavailable,
        /// The secret with the database credentials cannot be read.
        SecretUnavailable,
        /// A setting or the catalogue is missing or wrong.
        Misconfigured,
        /// A function has another catalogue than the run was planned by.
        DeploymentInProgress,
        /// The input that an execution was started with is not understood.
        InputRefused,
        /// A phase of the pipeline failed and waits for a redrive; raised by `halt` alone.
        CheckpointFailed,
        /// See [`Fault::CheckpointFailed`].
        PlanFailed,
        /// See [`Fault::CheckpointFailed`].
        ExtractFailed,
        /// See [`Fault::CheckpointFailed`].
        TransformFailed,
        /// See [`Fault::CheckpointFailed`].
        LoadFailed,
        /// The program is wrong.
        Bug,
    }
}

/// How a state machine retries: `interval · 2^n` seconds, never more than `max_delay`, each time a random part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Seconds before the first retry.
    pub interval_seconds: u32,
    /// How many retries.
    pub max_attempts: u32,
    /// Seconds that no delay exceeds.
    pub max_delay_seconds: u32,
}

/// A moment's trouble: together under a minute, because the next schedule is five minutes away.
pub const TRANSIENT: Retry = Retry { interval_seconds: 1, max_attempts: 4, max_delay_seconds: 15 };

/// A deployment updates its functions one after the other, in a minute or two.
const DEPLOYMENT: Retry = Retry { interval_seconds: 5, max_attempts: 5, max_delay_seconds: 60 };

impl Fault {
    /// The name on the wire: Lambda's `errorType`, Step Functions' `Error`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// How the state machine retries it; `None` where a retry would only fail again.
    #[must_use]
    pub fn retry(self) -> Option<Retry> {
        self.row().1
    }

    /// What the operator should do, one sentence.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.row().2
    }

    /// Whether a run that failed of it cannot end well any more, and another one has to be started: it was started wrongly,
    /// or goes by what is true no longer.
    #[must_use]
    pub fn needs_another_run(self) -> bool {
        matches!(
            self,
            Self::InputRefused
                | Self::SourceSchemaChanged
                | Self::SourceReplaced
                | Self::SourceRestarted
                | Self::LakeCorrupt
                | Self::WarehouseTargetTaken
                | Self::DeploymentInProgress
                | Self::DataRejected
        )
    }

    /// The fault with that wire name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// The table: name, retry, remedy. No wildcard: a new fault has to decide all three.
    fn row(self) -> (&'static str, Option<Retry>, &'static str) {
        match self {
            Self::SourceUnavailable => (
                "Source.Unavailable",
                Some(TRANSIENT),
                "check that the source database is up and that the network lets the functions reach it, then redrive",
            ),
            Self::SourceBusy => (
                "Source.Busy",
                Some(TRANSIENT),
                "find what holds the lock or the connections (pg_stat_activity), end it, then redrive; a replica that lags catches up by itself",
            ),
            Self::SourceAccessDenied => (
                "Source.AccessDenied",
                None,
                "correct the secret with the source credentials, or grant the role USAGE on the schema and SELECT on the table, then redrive",
            ),
            Self::SourceNotFound => (
                "Source.NotFound",
                None,
                "check the database's name in the secret with the source credentials, and on the server whether it was renamed or dropped (psql -l), then redrive",
            ),
            Self::SourceSchemaChanged => (
                "Source.SchemaChanged",
                None,
                "bring pipeline.toml in line with the source (`datadetox check --source URL` lists every difference) and start a new run; or undo the change in the source and redrive",
            ),
            Self::SourceRefused => ("Source.Refused", None, REFUSED),
            Self::SourceReplaced => (
                "Source.Replaced",
                None,
                "correct the source's URL; or, if this database is meant, start a run with --adopt-source, which reads everything from it",
            ),
            Self::SourceRestarted => (
                "Source.Restarted",
                None,
                "nothing to repair: start a new run, or wait for the next one, which reads again what it has to",
            ),
            Self::LakeUnavailable => (
                "Lake.Unavailable",
                Some(TRANSIENT),
                "check that S3 is reachable and its disk is not full, then redrive",
            ),
            Self::LakeAccessDenied => (
                "Lake.AccessDenied",
                None,
                "check that the buckets exist and that the function's role may use its prefixes, then redrive",
            ),
            Self::LakeCorrupt => (
                "Lake.Corrupt",
                None,
                "an object was lost or altered: start a new run, or wait for the next one, which reads its table again",
            ),
            Self::WarehouseUnavailable => (
                "Warehouse.Unavailable",
                Some(TRANSIENT),
                "check that the warehouse is up and that the network lets the function reach it, then redrive",
            ),
            Self::WarehouseBusy => (
                "Warehouse.Busy",
                Some(TRANSIENT),
                "find what holds the lock or the connections (pg_stat_activity), end it, then redrive",
            ),
            Self::WarehouseAccessDenied => (
                "Warehouse.AccessDenied",
                None,
                "correct the secret with the warehouse credentials, or grant the role what the message names, then redrive",
            ),
            Self::WarehouseNotFound => (
                "Warehouse.NotFound",
                None,
                "check the database's name in the secret with the warehouse credentials, and on the server whether it was renamed or dropped (psql -l), then redrive",
            ),
            Self::WarehouseSchemaMismatch => (
                "Warehouse.SchemaMismatch",
                None,
                "change the table or pipeline.toml so that both agree (`datadetox check --warehouse URL` lists every difference), then redrive",
            ),
            Self::WarehouseTargetTaken => (
                "Warehouse.TargetTaken",
                None,
                "do what the message says; where it says nothing, give the target another name or the pipeline another schema ([warehouse] schema); then start a new run",
            ),
            Self::WarehouseIsSource => (
                "Warehouse.IsSource",
                None,
                "correct the URL of the warehouse or of the source: a target may not be a table that is read; then redrive",
            ),
            Self::WarehouseUntrusted => (
                "Warehouse.Untrusted",
                None,
                "look at what the message names, and have a superuser run the statement that takes it away or gives it to a role that is trusted: the role of the message, one whose rights it has, or the database's owner; where a table is not yours to give, name another target or [warehouse] schema; then redrive",
            ),
            Self::WarehouseRefused => ("Warehouse.Refused", None, REFUSED),
            Self::DataRejected => (
                "Data.Rejected",
                None,
                "correct the rows in the source, or pipeline.toml if it is the rule that is wrong (reject_limit sets how many may be rejected: those stand in the reject table with their values), then start a new run: this one has read them already",
            ),
            Self::OrchestratorUnavailable => (
                "Orchestrator.Unavailable",
                Some(TRANSIENT),
                "check that the function may call states:ListExecutions and that Step Functions is reachable, then redrive",
            ),
            Self::SecretUnavailable => (
                "Secret.Unavailable",
                Some(TRANSIENT),
                "check that the secret exists, holds a Postgres URL or a JSON object with host, username and password, and that the function's role may read it",
            ),
            Self::Misconfigured => {
                ("Misconfigured", None, "correct the setting that the message names and deploy again")
            }
            Self::DeploymentInProgress => (
                "Deployment.InProgress",
                Some(DEPLOYMENT),
                "wait until the deployment has ended (on a laptop: pipeline.toml was edited since the run began), then start a new run: this one cannot be finished",
            ),
            Self::InputRefused => {
                ("Input.Refused", None, "start a run with the input {}, or {\"full\": true} to read everything")
            }
            Self::CheckpointFailed => ("CheckpointFailed", None, HELD),
            Self::PlanFailed => ("PlanFailed", None, HELD),
            Self::ExtractFailed => ("ExtractFailed", None, HELD),
            Self::TransformFailed => ("TransformFailed", None, HELD),
            Self::LoadFailed => ("LoadFailed", None, HELD),
            Self::Bug => ("Internal.Bug", None, "report it with the log of the function"),
        }
    }
}

/// The message is the database's own, or a code whose words stay where rows may be read.
const REFUSED: &str =
    "read what the database says (a code alone: its words are in the server's log), correct the cause, then redrive";

/// What stands before the first word of what is done with a run after the repair.
fn without_run(remedy: &str) -> &str {
    const RUN: [&str; 4] = [", then redrive", "; then redrive", " and start a new run", "; then start a new run"];
    let ends = RUN.into_iter().filter_map(|run| remedy.find(run)).min();
    &remedy[..ends.unwrap_or(remedy.len())]
}

const HELD: &str = "repair what the failures name, then redrive the execution: finished tables are not read again";

/// A failure: its kind, what was being done, what to do, and the errors beneath.
#[derive(Debug)]
pub struct Error {
    fault: Fault,
    message: String,
    /// What to do, where more is known of it than of every error of the kind.
    remedy: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What everything here that can fail returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `message`: what failed, lower case, no full stop; names the table, column, key or setting.
    #[must_use]
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), remedy: None, source: None }
    }

    /// The same with the error that caused it.
    #[must_use]
    pub fn because(
        fault: Fault,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { fault, message: message.into(), remedy: None, source: Some(source.into()) }
    }

    /// The same error, told from further out: `outer: message`.
    #[must_use]
    pub fn while_doing(mut self, outer: impl fmt::Display) -> Self {
        self.message = format!("{outer}: {}", self.message);
        self
    }

    /// The same error with another remedy than that of its kind, in the same form.
    #[must_use]
    pub fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }

    /// Its kind.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The message with every cause beneath it, and what to do: what a person reads, and nothing that a terminal obeys.
    #[must_use]
    pub fn report(&self) -> String {
        format!("{} (to do: {})", self.causes(), self.remedy())
    }

    /// The same to who only looked: there is no run that could go on.
    #[must_use]
    pub fn report_of_look(&self) -> String {
        format!("{} (to do: {})", self.causes(), without_run(self.remedy()))
    }

    fn remedy(&self) -> &'static str {
        self.remedy.unwrap_or_else(|| self.fault.remedy())
    }

    fn causes(&self) -> String {
        let mut report = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // Many libraries repeat their source in their own text.
            if !report.contains(&text) {
                report.push_str(": ");
                report.push_str(&text);
            }
            cause = error.source();
        }
        plain(&report).into_owned()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| {
            let source: &(dyn std::error::Error + 'static) = source.as_ref();
            source
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_what_a_database_would_have_a_terminal_do() {
        let error = Error::because(Fault::Bug, "a\u{1b}[2J", std::io::Error::other("b\rc"));
        assert!(error.report().starts_with("a\\u001b[2J: b\\u000dc (to do: "), "{}", error.report());
    }

    #[test]
    fn who_only_looks_is_told_of_no_run() {
        let sides = |fault: &Fault| ["Source.", "Warehouse."].iter().any(|side| fault.name().starts_with(side));
        for fault in Fault::ALL.into_iter().filter(sides) {
            let told = Error::new(fault, "x").report_of_look();
            // These two are of a run and its past.
            if ![Fault::SourceReplaced, Fault::SourceRestarted].contains(&fault) {
                assert!(!told.contains("redrive") && !told.contains("new run"), "{told}");
            }
            assert!(told.len() > "x (to do: )".len() + 20 && told.ends_with(')'), "{told}");
        }
        let known = Error::new(Fault::SourceAccessDenied, "x").with_remedy("turn it on, then redrive");
        assert_eq!(
            (known.report().as_str(), known.report_of_look().as_str()),
            ("x (to do: turn it on, then redrive)", "x (to do: turn it on)")
        );
    }

    #[test]
    fn names_are_unique_and_legal_for_step_functions() {
        let mut names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert!(!fault.name().starts_with("States."), "{fault:?}: reserved");
            assert!(fault.name().chars().all(|c| c.is_ascii_alphanumeric() || c == '.'), "{fault:?}");
            assert_eq!(Fault::from_name(fault.name()), Some(fault));
        }
    }

    #[test]
    fn only_what_may_pass_by_itself_is_retried() {
        let retried: Vec<_> =
            Fault::ALL.iter().filter(|fault| fault.retry().is_some()).map(|fault| fault.name()).collect();
        let passes = |name: &&str| [".Unavailable", ".Busy", ".InProgress"].iter().any(|end| name.ends_with(end));
        assert!(retried.iter().all(passes), "{retried:?}");
    }

    #[test]
    fn a_report_tells_the_chain_once_and_what_to_do() {
        let cause = std::io::Error::other("connection refused");
        let error = Error::because(Fault::SourceUnavailable, "cannot connect to the source", cause).while_doing("plan");
        assert_eq!(
            error.report(),
            "plan: cannot connect to the source: connection refused (to do: check that the source database is up and \
             that the network lets the functions reach it, then redrive)"
        );
    }
}
