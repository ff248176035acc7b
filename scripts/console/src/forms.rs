//! The operator's hand: start, stop, redrive. Each is asked about on a page, which a script shows as a dialog, and done by a
//! form that only such a page can send.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use catalog::deployment::Verb;
use serde::Deserialize;

use crate::page::{Failed, Frame, render};
use crate::run::{Preview, Run};
use crate::runs_page::address;
use crate::site::{Shared, Site};

/// What a run is started with where nothing is said.
const INPUT: &str = "{}";

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    frame: Frame,
    token: String,
    input: String,
    command: String,
    refusal: String,
}

#[derive(Template)]
#[template(path = "stop.html")]
struct StopPage {
    frame: Frame,
    token: String,
    name: String,
    address: String,
    command: String,
}

#[derive(Template)]
#[template(path = "redrive.html")]
struct RedrivePage {
    frame: Frame,
    token: String,
    name: String,
    address: String,
    preview: Preview,
    command: String,
}

/// What a form says.
#[derive(Deserialize)]
pub(crate) struct Said {
    #[serde(default)]
    token: String,
    #[serde(default)]
    input: String,
    #[serde(default)]
    cause: String,
}

impl Said {
    fn check(&self, site: &Site) -> Result<(), Failed> {
        let what = "this form is not of a page of this console, or of one that was open before it was started anew: \
                    load the page again";
        if site.knows(&self.token) { Ok(()) } else { Err(Failed::new(site, StatusCode::FORBIDDEN, what)) }
    }
}

/// Which run a new one is to be like.
#[derive(Default, Deserialize)]
pub(crate) struct Like {
    #[serde(default)]
    like: String,
}

pub(crate) async fn ask_start(
    State(site): State<Shared>,
    axum::extract::Query(Like { like }): axum::extract::Query<Like>,
) -> Result<Response, Failed> {
    let input = if like.is_empty() {
        INPUT.to_owned()
    } else {
        let described = site.orchestrator.describe(&site.orchestrator.arn(&like)).await;
        described.map_err(|error| Failed::because(&site, &error))?.input.unwrap_or_else(|| INPUT.to_owned())
    };
    Ok(start_page(&site, input, String::new()))
}

fn start_page(site: &Site, input: String, refusal: String) -> Response {
    render(&StartPage {
        frame: Frame::of(site, "Start a run"),
        token: site.token.clone(),
        input,
        command: site.deployment.command(Verb::Start, ""),
        refusal,
    })
}

pub(crate) async fn start(State(site): State<Shared>, Form(said): Form<Said>) -> Result<Response, Failed> {
    said.check(&site)?;
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&said.input) {
        let page = start_page(&site, said.input, format!("The input is no JSON: {error}"));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let arn = site.orchestrator.start_with(&said.input).await.map_err(|error| Failed::because(&site, &error))?;
    Ok(to_run(arn.rsplit(':').next().unwrap_or_default()))
}

pub(crate) async fn ask_stop(State(site): State<Shared>, Path(name): Path<String>) -> Response {
    render(&StopPage {
        frame: Frame::of(&site, "Stop a run"),
        token: site.token.clone(),
        address: address(&name),
        command: site.deployment.command(Verb::Stop, &name),
        name,
    })
}

pub(crate) async fn stop(
    State(site): State<Shared>,
    Path(name): Path<String>,
    Form(said): Form<Said>,
) -> Result<Response, Failed> {
    said.check(&site)?;
    let cause = Some(said.cause).filter(|cause| !cause.trim().is_empty());
    let stopped = site.orchestrator.stop(&site.orchestrator.arn(&name), cause).await;
    stopped.map_err(|error| Failed::because(&site, &error))?;
    Ok(to_run(&name))
}

pub(crate) async fn ask_redrive(State(site): State<Shared>, Path(name): Path<String>) -> Result<Response, Failed> {
    let run = Run::of(&site, &name).await?;
    if !run.is_redrivable() {
        let what = "this run is at work, or has succeeded: there is nothing to redrive";
        return Err(Failed::new(&site, StatusCode::CONFLICT, what));
    }
    let preview = Preview::of(&site, &run).await.map_err(|error| Failed::because(&site, &error))?;
    Ok(render(&RedrivePage {
        frame: Frame::of(&site, "Redrive a run"),
        token: site.token.clone(),
        address: address(&name),
        preview,
        command: site.deployment.command(Verb::Redrive, &name),
        name,
    }))
}

pub(crate) async fn redrive(
    State(site): State<Shared>,
    Path(name): Path<String>,
    Form(said): Form<Said>,
) -> Result<Response, Failed> {
    said.check(&site)?;
    let redriven = site.orchestrator.redrive(&site.orchestrator.arn(&name)).await;
    redriven.map_err(|error| Failed::because(&site, &error))?;
    Ok(to_run(&name))
}

/// A browser asks for the run's page then, whatever it sent before.
fn to_run(name: &str) -> Response {
    Redirect::to(&address(name)).into_response()
}

pub(crate) async fn nowhere(State(site): State<Shared>) -> Failed {
    Failed::new(&site, StatusCode::NOT_FOUND, "there is no such page")
}
