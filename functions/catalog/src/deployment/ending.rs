//! Runs that ended without a word of their own: what is told of them by a rule in AWS and by the stack on a laptop, in the
//! same words.

use super::{Deployment, Verb};
use crate::alert::Told;
use crate::contract::message::Phase;
use crate::enumeration::enumeration;

enumeration! {
    /// How a run ends that nobody has been told of.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Ending {
        /// It failed where no Catch sees it.
        Failed,
        /// It took longer than the catalogue allows.
        TimedOut,
        /// Somebody stopped it.
        Stopped,
    }
}

impl Ending {
    /// The status of such an execution, as Step Functions spells it.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Stopped => "ABORTED",
        }
    }

    /// The word for it in names.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Stopped => "stopped",
        }
    }

    /// The errors of executions that have told of their failure themselves: those that `halt` holds.
    #[must_use]
    pub fn told_already() -> [&'static str; Phase::ALL.len()] {
        Phase::ALL.map(|phase| phase.fault().name())
    }

    /// How an execution ended, from its status and error; `None` where nothing is to be told.
    #[must_use]
    pub fn of(status: &str, error: Option<&str>) -> Option<Self> {
        let ending = Self::ALL.into_iter().find(|ending| ending.status() == status)?;
        let held = ending == Self::Failed && error.is_some_and(|error| Self::told_already().contains(&error));
        (!held).then_some(ending)
    }
}

impl Deployment {
    /// What is told of a run that ended so. The message is one line: a rule of EventBridge knows no other.
    #[must_use]
    pub fn told_of_end(&self, ending: Ending, run: &str, error: &str, execution: &str) -> Told {
        let prefix = self.prefix();
        let go_on = format!("What it finished is kept; let it go on with `{}`.", self.command(Verb::Redrive, run));
        let (word, what, then) = match ending {
            Ending::Failed => {
                let (show, start) = (self.command(Verb::Show, run), self.command(Verb::Start, run));
                let then = format!("See why with `{show}`; after the repair start another with `{start}`.");
                ("failed", format!("failed with {error}, where it could not tell of it itself"), then)
            }
            Ending::TimedOut => {
                let limit = humantime::format_duration(self.catalog.pipeline.timeout);
                ("took too long", format!("took longer than {limit} and was ended"), go_on)
            }
            Ending::Stopped => ("was stopped", "was stopped".to_owned(), go_on),
        };
        Told {
            subject: format!("{prefix}: a run {word}"),
            message: format!("{prefix}: run {run} {what}. {then} Execution: {execution}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use super::*;
    use crate::Catalog;

    #[test]
    fn only_what_has_not_told_of_itself_is_told() {
        assert_eq!(Ending::of("FAILED", Some("States.Runtime")), Some(Ending::Failed));
        assert_eq!(Ending::of("FAILED", None), Some(Ending::Failed));
        assert_eq!(Ending::of("FAILED", Some("ExtractFailed")), None);
        assert_eq!(Ending::of("ABORTED", Some("ExtractFailed")), Some(Ending::Stopped));
        assert_eq!((Ending::of("SUCCEEDED", None), Ending::of("RUNNING", None)), (None, None));
    }

    #[test]
    fn each_end_says_what_happened_and_what_to_type() {
        let text = "[pipeline]\nname = 'shop'\n[source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\n\
                    columns = { id = 'integer' }\n[dimensions.dim_staff]\nfrom = 'staff'\ncolumns = { id = 'id' }\n";
        let catalog = Arc::new(Catalog::parse("p", text).unwrap());
        let dev = Deployment::in_aws(catalog, "dev".parse().unwrap(), None);
        let told = Ending::ALL.map(|ending| {
            let Told { subject, message } = dev.told_of_end(ending, "first", "States.Runtime", "arn");
            format!("{subject}\n  {message}\n")
        });
        expect![[r#"
            shop-dev: a run failed
              shop-dev: run first failed with States.Runtime, where it could not tell of it itself. See why with `datadetox show first --aws --environment dev`; after the repair start another with `datadetox start --aws --environment dev`. Execution: arn
            shop-dev: a run took too long
              shop-dev: run first took longer than 6h and was ended. What it finished is kept; let it go on with `datadetox redrive first --aws --environment dev`. Execution: arn
            shop-dev: a run was stopped
              shop-dev: run first was stopped. What it finished is kept; let it go on with `datadetox redrive first --aws --environment dev`. Execution: arn
        "#]].assert_eq(&told.concat());
    }
}
