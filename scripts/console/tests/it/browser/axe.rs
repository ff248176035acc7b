//! What axe-core finds in a page that keeps people from using it.

use std::fmt;

use serde::Deserialize;

use super::Browser;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The packages of npm that were looked at, by what they are; axe-core's version is in it.
const PACKAGES: &str = include_str!("../../../../npm-packages.sha512");

/// Runs it over the whole page, and gives what it found or why it could not.
const RUN: &str = "
    const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(
        (results) => done({ violations: results.violations }),
        (error) => done({ error: String(error) }),
    );
";

/// A rule that a page breaks.
#[derive(Debug, Deserialize)]
pub(crate) struct Violation {
    /// The rule's name, as `color-contrast`.
    pub(crate) id: String,
    /// How much it hinders.
    pub(crate) impact: Option<String>,
    /// What the rule asks.
    help: String,
    /// Where it is broken.
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    html: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({}): {}", self.id, self.impact.as_deref().unwrap_or_default(), self.help)?;
        self.nodes.iter().try_for_each(|node| write!(out, "\n    {}", node.html))
    }
}

impl Browser {
    /// What is seriously or critically wrong with the page as it is shown now: run it again in every state, scheme and size.
    pub(crate) async fn axe(&self) -> Vec<Violation> {
        // What a driver runs is not bound by the page's policy, and the page has to have one.
        self.run(&axe_core(), vec![]).await;
        let mut results = self.run_until_done(RUN, vec![]).await;
        assert!(results["error"].is_null(), "axe-core cannot look at the page: {}", results["error"]);
        let all: Vec<Violation> = serde_json::from_value(results["violations"].take()).expect("it gives violations");
        let hinders =
            |found: &Violation| ["serious", "critical"].contains(&found.impact.as_deref().unwrap_or_default());
        all.into_iter().filter(hinders).collect()
    }

    /// Fails with all that [`Browser::axe`] finds.
    pub(crate) async fn assert_accessible(&self) {
        let found: Vec<String> = self.axe().await.iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "the page keeps people from using it:\n{}", found.join("\n"));
    }
}

/// Its program, in the version that is listed.
fn axe_core() -> String {
    let package = PACKAGES.split_whitespace().find(|word| word.starts_with("axe-core@")).expect("it is listed");
    let path = format!("{ROOT}/target/{package}/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}: run scripts/setup --tests"))
}
