//! The one way in to the stack's HTTP services: the AWS services of the gateway, the Runtime API of every function.
//!
//! They listen on loopback, which everybody on the machine reaches: processes of other users, and every page that a browser
//! shows. What the door holds against whom:
//!
//! - **Another user of the machine**, who connects. The system is asked whose the other end is ([`peer`]) before a byte is
//!   read, and what is not of our own user is closed. So on Linux; where it cannot tell, the door does not open. macOS tells
//!   it to no program without unsafe code: there another user is answered, and what holds is the signature, and the secret
//!   path of the Runtime API, which has no signature. What is left to him is to take up places.
//! - **A page of another site** in a browser of ours, which connects as we do. `Host` must be a name of this machine, so that
//!   no name of an attacker's leads here (DNS rebinding), and what a browser says of a page (`Origin`, `Sec-Fetch-Site`)
//!   must not be there, or be that of the service's own pages ([`address`]).
//! - **A process of ours that lacks the key**: a function asks with its own role, not with the operator's or another's. Every
//!   request to an AWS service is signed, and the signature is checked as AWS checks it ([`signature`]).
//! - **Whoever sends too much, too slowly, too deep or too often**, on purpose or by mistake: a head and a body have their
//!   time and a body its size, enforced while it is read ([`body`]); JSON nests no deeper than a journal bears; connections
//!   are bounded, and one that waits for a request gives its place to a new one ([`places`]).
//!
//! It does not hold against root, nor against a process of our own user that reads our files: that one has the keys.

mod address;
mod body;
mod peer;
mod places;
#[cfg(fuzzing)]
mod probe;
mod refused;
mod signature;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock;
use crate::credentials::Credentials;

pub(crate) use body::{Broken, whole};
pub(crate) use refused::{Protocol, json_error, query_error};

#[cfg(fuzzing)]
pub use probe::probe;

use peer::Peers;
use places::Places;
use refused::Refused;
use signature::Claim;

/// The longest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Connections to pages at once: a browser keeps six open, and one more a tab that is watched.
const PAGE_CONNECTIONS: usize = 64;
/// The longest form: an input of Step Functions, percent-encoded.
const PAGE_BODY: usize = 1 << 20;
/// How long a page's connection may stand still.
const PAGE_TIME: Duration = Duration::from_secs(30);

/// What a door lets in, and how much of it.
pub struct Rules {
    /// Connections at once.
    pub(crate) connections: usize,
    /// How long a connection may be without a whole head: at its beginning, and between two requests.
    pub(crate) head_time: Duration,
    /// How long a body may stand still.
    pub(crate) body_time: Duration,
    /// Whether the service has pages, whose scripts may ask it.
    pub(crate) has_pages: bool,
    /// The keys that sign.
    pub(crate) credentials: Credentials,
    /// What is asked of a request by its head. What no service here takes is refused.
    pub(crate) terms: fn(&Parts) -> Result<Terms, Box<Response>>,
}

/// What a service asks of a request to it.
pub(crate) struct Terms {
    /// How it speaks.
    pub(crate) protocol: Protocol,
    /// The name that its signatures are made for; `None` where AWS asks for no signature.
    pub(crate) signed_for: Option<&'static str>,
    /// The longest body, in bytes.
    pub(crate) max_body: usize,
}

/// Who signed a request; the door leaves it with the request.
#[derive(Clone, Debug)]
pub(crate) struct Identity(pub(crate) String);

/// What the body of a request in JSON said; the door leaves it with the request.
#[derive(Clone, Debug)]
pub(crate) struct Said(pub(crate) Value);

/// An address of a service's own, before anything answers there: services know it before they exist.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    peers: Peers,
}

/// An open door. It closes when it is dropped, and ends every connection.
pub struct Open(JoinHandle<()>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    pub(crate) async fn bind() -> Result<Self> {
        Self::at(0).await
    }

    /// A door at a port of loopback for the processes of our own user; 0 is any port that is free.
    ///
    /// # Errors
    /// When the port is taken, or the system does not say whose a connection is.
    pub async fn at(port: u16) -> Result<Self> {
        Self::of(rustix::process::geteuid().as_raw(), port).await
    }

    /// The same for the processes of that user.
    async fn of(uid: u32, port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, peers: Peers::of(uid, address)? })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests in to a service.
    #[must_use]
    pub fn open(self, rules: Rules, service: Router) -> Open {
        let rules = Arc::new(rules);
        let service = service.layer(middleware::from_fn_with_state(Arc::clone(&rules), pass));
        Open(tokio::spawn(self.serve(rules, service)))
    }

    async fn serve(mut self, rules: Arc<Rules>, service: Router) {
        let places = Places::new(rules.connections);
        // Dropped with this task, and everybody in it.
        let mut inside = JoinSet::new();
        let mut told = false;
        loop {
            let (connection, peer) = tokio::select! {
                // It waits where the process has no more files.
                accepted = Listener::accept(&mut self.listener) => accepted,
                Some(_) = inside.join_next() => continue,
            };
            // One after the other: of those that are to be closed none takes a place or a file.
            if !self.peers.include(peer).await {
                // Once: he is not to fill our log either.
                if !told {
                    tracing::warn!("a connection to {} was closed, as every other one of another user", self.address);
                    told = true;
                }
                continue;
            }
            // An answer is not to wait for the acknowledgement of its beginning. What cannot be set so is slower.
            let _ = connection.set_nodelay(true);
            let place = places.take().await;
            let (answers, head_time) = (TowerToHyperService::new(service.clone()), rules.head_time);
            inside.spawn(async move {
                let at_work = Arc::clone(&place);
                let answer = hyper::service::service_fn(move |request| {
                    let work = at_work.work();
                    let answered = answers.call(request);
                    async move { answered.await.map(|response| response.map(|body| work.until_sent(body))) }
                });
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(head_time)
                    .max_buf_size(MAX_HEAD)
                    .serve_connection(TokioIo::new(connection), answer);
                tokio::select! {
                    // How a connection ends is its client's affair.
                    _ = serving => {}
                    () = place.given_away() => {}
                }
            });
        }
    }
}

async fn pass(State(rules): State<Arc<Rules>>, request: Request, next: Next) -> Response {
    match rules.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal,
    }
}

impl Rules {
    /// Of pages for a browser of ours, in which forms and scripts of their own may ask.
    #[must_use]
    pub fn of_pages() -> Self {
        Self {
            connections: PAGE_CONNECTIONS,
            head_time: PAGE_TIME,
            body_time: PAGE_TIME,
            has_pages: true,
            credentials: Credentials::default(),
            terms: |_| Ok(Terms { protocol: Protocol::Plain, signed_for: None, max_body: PAGE_BODY }),
        }
    }

    async fn admit(&self, request: Request) -> Result<Request, Response> {
        let (mut parts, body) = request.into_parts();
        address::check(&parts.headers, self.has_pages).map_err(|refused| refused.said_in(Protocol::Plain))?;
        let terms = (self.terms)(&parts).map_err(|refusal| *refusal)?;
        let refuse = |refused: Refused| refused.said_in(terms.protocol);
        let is_large = body.size_hint().lower() > terms.max_body as u64;
        let body = body::bounded(body, terms.max_body, self.body_time);
        let Some(service) = terms.signed_for else { return Ok(Request::from_parts(parts, body)) };
        if is_large {
            return Err(refuse(Refused::Body(Broken::TooLarge)));
        }
        let claim = Claim::of(&parts, terms.protocol).map_err(refuse)?;
        let secret = claim.check(&self.credentials, &parts, service, clock::now()).map_err(refuse)?;
        let body = match terms.protocol {
            // Its digest is signed; the lake reads the body, and holds it against that.
            Protocol::S3 => {
                claim.verify(secret, &parts, None).map_err(refuse)?;
                body
            }
            Protocol::Json | Protocol::Query | Protocol::Plain => {
                let bytes = whole(body).await.map_err(|broken| refuse(Refused::Body(broken)))?;
                claim.verify(secret, &parts, Some(&bytes)).map_err(refuse)?;
                if terms.protocol == Protocol::Json {
                    let said = said(&bytes).map_err(refuse)?;
                    parts.extensions.insert(Said(said));
                }
                Body::from(bytes)
            }
        };
        parts.extensions.insert(Identity(claim.key));
        Ok(Request::from_parts(parts, body))
    }
}

/// A body of JSON. The parser itself ends where its stack would.
fn said(body: &[u8]) -> Result<Value, Refused> {
    let said = serde_json::from_slice(body).map_err(|error| Refused::NoJson(error.to_string()))?;
    if asl::nests_too_deep(&said) {
        return Err(Refused::NoJson(format!("it nests deeper than {} levels", asl::MAX_NESTING)));
    }
    Ok(said)
}
