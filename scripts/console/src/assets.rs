//! Styles and scripts, which are in the program. Their addresses carry the version, so that a browser asks once.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, type, content.
const ASSETS: [(&str, &str, &str); 5] = [
    ("console.css", CSS, include_str!("../assets/console.css")),
    ("graph.css", CSS, include_str!("../assets/graph.css")),
    ("console.js", JS, include_str!("../assets/console.js")),
    ("htmx.js", JS, include_str!("../assets/htmx.org/htmx.min.js")),
    ("sse.js", JS, include_str!("../assets/htmx-ext-sse/sse.min.js")),
];

/// The styles of the graph, for a picture of its own.
pub(crate) const GRAPH_STYLES: &str = include_str!("../assets/graph.css");

pub(crate) async fn asset(Path((_version, name)): Path<(String, String)>) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, content)) => {
            let headers = [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "max-age=86400, immutable")];
            (headers, *content).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
