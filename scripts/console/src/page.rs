//! What every page has: its frame, and how one that cannot be shown says so.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::site::Site;

/// The frame around a page.
pub(crate) struct Frame {
    /// What the browser's tab says.
    pub(crate) title: String,
    pub(crate) pipeline: String,
    pub(crate) place: String,
    pub(crate) version: String,
    pub(crate) is_read_only: bool,
}

impl Frame {
    pub(crate) fn of(site: &Site, title: &str) -> Self {
        Self {
            title: title.to_owned(),
            pipeline: site.deployment.catalog.pipeline.name.clone(),
            place: site.place.clone(),
            version: site.version.clone(),
            is_read_only: site.is_read_only,
        }
    }
}

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage {
    frame: Frame,
    what: String,
}

/// A page that cannot be shown.
pub(crate) struct Failed(StatusCode, Box<FailedPage>);

impl Failed {
    pub(crate) fn new(site: &Site, status: StatusCode, what: impl Into<String>) -> Self {
        Self(status, Box::new(FailedPage { frame: Frame::of(site, "Not shown"), what: what.into() }))
    }

    /// What Step Functions answers instead.
    pub(crate) fn because(site: &Site, error: &anyhow::Error) -> Self {
        let what = catalog::plain(&format!("{error:#}")).into_owned();
        let is_unknown = ["ExecutionDoesNotExist", "InvalidArn"].iter().any(|code| what.contains(code));
        Self::new(site, if is_unknown { StatusCode::NOT_FOUND } else { StatusCode::BAD_GATEWAY }, what)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, render(&*self.1)).into_response()
    }
}

/// A page as it is sent.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!("a page cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
