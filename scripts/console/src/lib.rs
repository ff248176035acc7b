//! The console: the runs of a pipeline in a browser, and the operator's hand on them.
//!
//! One site for the local stack and for AWS: it speaks the public API of Step Functions alone ([`runs::Orchestrator`]), on
//! loopback, behind the stack's own door ([`local::Door`]): our own user's browser, no page of another site. What changes
//! something is a form with a token that only the site's own pages hold, and is not there at all in a site that only reads.
//! Everything that a page needs is in the program: no network but to the console itself, and a browser is told so
//! (`headers`).
//!
//! ```text
//! /runs             what happened: search, filter, page by page; up-to-date ones folded
//! /runs/NAME        a run: why, and what to do; graph, steps, events, definition, input and output
//! /live/…           one event whenever what a page shows has changed
//! ```

mod assets;
mod figures;
mod forms;
mod graph;
mod headers;
mod live;
mod page;
mod run;
mod runs_page;
mod site;
mod summary;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use catalog::Deployment;
use local::{Door, Open, Rules};
use runs::Orchestrator;

/// What a console shows, and where.
pub struct Settings {
    /// How to speak to Step Functions.
    pub orchestrator: Orchestrator,
    /// The pipeline and its names.
    pub deployment: Deployment,
    /// Where it runs, for people: `this machine`, `AWS dev`.
    pub place: String,
    /// Whether nothing can be started, stopped or redriven from it.
    pub is_read_only: bool,
    /// The port on loopback; 0 is any that is free.
    pub port: u16,
}

/// A console that answers; it ends when dropped.
pub struct Console {
    address: SocketAddr,
    _open: Open,
}

impl Console {
    /// Opens it.
    ///
    /// # Errors
    /// When the port is taken, or the system gives no randomness.
    pub async fn open(settings: Settings) -> Result<Self> {
        let door = Door::at(settings.port).await?;
        let address = door.address();
        let site = Arc::new(site::Site::new(settings)?);
        Ok(Self { address, _open: door.open(Rules::of_pages(), site::router(site)) })
    }

    /// Where a browser finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}
