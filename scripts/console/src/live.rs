//! One event whenever what a page shows has changed: the page then asks for itself again, and takes over what differs.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::Result;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::runs_page::PAGE;
use crate::site::{Shared, Site};

/// What is watched.
enum Watched {
    List,
    Run(String),
}

struct Watch {
    site: Shared,
    watched: Watched,
    ticks: Interval,
    shown: Option<u64>,
}

pub(crate) async fn of_list(State(site): State<Shared>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    watch(site, Watched::List)
}

pub(crate) async fn of_run(
    State(site): State<Shared>,
    Path(name): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let arn = site.orchestrator.arn(&name);
    watch(site, Watched::Run(arn))
}

fn watch(site: Shared, watched: Watched) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut ticks = interval(site.pace());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = unfold(Watch { site, watched, ticks, shown: None }, async |mut watch| {
        loop {
            watch.ticks.tick().await;
            // What cannot be asked for now is asked for at the next tick; the page says so itself when it is loaded.
            let Ok(seen) = watch.watched.state(&watch.site).await else { continue };
            // The first one as well: it may have changed since the page was written. An event without data a browser keeps
            // to itself.
            if watch.shown.replace(seen) != Some(seen) {
                return Some((Ok(Event::default().event("changed").data("now")), watch));
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Watched {
    /// A number for what is to be seen: another one, and it has changed.
    async fn state(&self, site: &Site) -> Result<u64> {
        let mut state = DefaultHasher::new();
        match self {
            Self::List => {
                for run in site.orchestrator.page(None, PAGE, None).await?.runs {
                    (run.execution_arn, run.status.as_str(), run.redrive_count).hash(&mut state);
                }
            }
            Self::Run(arn) => {
                let run = site.orchestrator.describe(arn).await?;
                (run.status.as_str(), run.redrive_count).hash(&mut state);
                site.orchestrator.last_event(arn).await?.hash(&mut state);
            }
        }
        Ok(state.finish())
    }
}
