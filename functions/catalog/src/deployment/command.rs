//! The commands that people are told to type, in alerts, reports and docs.

use super::{Deployment, Place};
use crate::alert::Commands;

/// What an operator does with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start one.
    Start,
    /// The same where no stack runs: on a laptop alone.
    Run,
    /// List them.
    Runs,
    /// Look at one.
    Show,
    /// Let a failed one go on.
    Redrive,
    /// End one.
    Stop,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Start, Self::Run, Self::Runs, Self::Show, Self::Redrive, Self::Stop];

    /// The subcommand of `datadetox`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Run => "run",
            Self::Runs => "runs",
            Self::Show => "show",
            Self::Redrive => "redrive",
            Self::Stop => "stop",
        }
    }

    /// Whether it is done to one run, which its command names.
    #[must_use]
    pub fn names_a_run(self) -> bool {
        matches!(self, Self::Show | Self::Redrive | Self::Stop)
    }
}

impl Deployment {
    /// The command that does this here: `datadetox redrive RUN --aws --environment dev --region eu-west-2`. `run` is left
    /// out where the verb is not about one run.
    #[must_use]
    pub fn command(&self, verb: Verb, run: &str) -> String {
        let mut command = format!("datadetox {}", verb.word());
        if verb.names_a_run() {
            command = format!("{command} {run}");
        }
        match &self.place {
            Place::Laptop { options } => {
                options.iter().fold(command, |command, (option, value)| format!("{command} {option} {}", quoted(value)))
            }
            Place::Aws { environment, region: None } => format!("{command} --aws --environment {environment}"),
            Place::Aws { environment, region: Some(region) } => {
                format!("{command} --aws --environment {environment} --region {region}")
            }
        }
    }

    /// The commands that an alert may tell.
    #[must_use]
    pub fn commands(&self) -> Commands {
        let of = |verb| self.command(verb, Commands::RUN);
        Commands { show: of(Verb::Show), redrive: of(Verb::Redrive), start: of(Verb::Start) }
    }
}

/// A word as a shell reads it.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(quoted("/home/me/.datadetox"), "/home/me/.datadetox");
        assert_eq!(quoted("my home"), "'my home'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
