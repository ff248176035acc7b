//! The site: what all of its pages share, and which address is answered by whom.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::get;
use catalog::Deployment;
use runs::Orchestrator;
use subtle::ConstantTimeEq as _;

use crate::summary::Summaries;
use crate::{Settings, assets, forms, headers, live, run, runs_page};

/// What is shown, and how it is asked for.
pub(crate) struct Site {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) deployment: Deployment,
    pub(crate) place: String,
    pub(crate) is_read_only: bool,
    /// Only pages of this site hold it: a form without it is another site's.
    pub(crate) token: String,
    /// Changes with every start of the program: what a browser keeps of another version is not asked for.
    pub(crate) version: String,
    pub(crate) summaries: Summaries,
}

/// The site as every handler has it.
pub(crate) type Shared = Arc<Site>;

impl Site {
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let Settings { orchestrator, deployment, place, is_read_only, port: _ } = settings;
        let (token, version) = (random()?, random()?);
        Ok(Self { orchestrator, deployment, place, is_read_only, token, version, summaries: Summaries::default() })
    }

    /// Whether a form is of this site's own.
    pub(crate) fn knows(&self, token: &str) -> bool {
        self.token.as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Time between two looks for what a page shows.
    pub(crate) fn pace(&self) -> Duration {
        // In AWS a look is a request, and people have tabs that they forget.
        self.orchestrator.pace() * 3
    }
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no randomness")?;
    Ok(hex::encode(bytes))
}

pub(crate) fn router(site: Shared) -> Router {
    let mut router = Router::new()
        .route("/", get(async || Redirect::to("/runs")))
        .route("/runs", get(runs_page::list))
        .route("/runs/{name}", get(run::show))
        .route("/runs/{name}/graph.svg", get(run::picture))
        .route("/live/runs", get(live::of_list))
        .route("/live/runs/{name}", get(live::of_run))
        .route("/assets/{version}/{name}", get(assets::asset));
    if !site.is_read_only {
        router = router
            .route("/start", get(forms::ask_start).post(forms::start))
            .route("/runs/{name}/stop", get(forms::ask_stop).post(forms::stop))
            .route("/runs/{name}/redrive", get(forms::ask_redrive).post(forms::redrive));
    }
    router.fallback(forms::nowhere).layer(middleware::from_fn(headers::add)).with_state(site)
}
