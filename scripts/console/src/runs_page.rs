//! The runs: searched, filtered, page by page, the newest first.

use askama::Template;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use axum::extract::{Query, State};
use axum::response::Response;
use form_urlencoded::Serializer;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use runs::figures::duration;
use runs::{Ending, Page};
use serde::Deserialize;

use crate::figures::{iso, of_run};
use crate::page::{Failed, Frame, render};
use crate::site::{Shared, Site};

/// Runs that a page asks for.
pub(crate) const PAGE: i32 = 50;
/// Runs that a search asks for at once, and how many times: what it does not find in them, the next page goes on with.
const SEARCHED: i32 = 1_000;
const SEARCHES: usize = 10;
/// Runs that a search shows at once.
const FOUND: usize = 200;
/// Questions about single runs at once.
const AT_ONCE: usize = 8;
/// Runs in a row that are folded: fewer are no shorter folded.
const FOLDED: usize = 2;
/// What stays as it is in an address.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Statuses that can be asked for.
const STATUSES: [ExecutionStatus; 5] = [
    ExecutionStatus::Running,
    ExecutionStatus::Succeeded,
    ExecutionStatus::Failed,
    ExecutionStatus::Aborted,
    ExecutionStatus::TimedOut,
];

/// What is looked for, as it stands in the address.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Search {
    /// A part of the name.
    #[serde(default)]
    q: String,
    #[serde(default)]
    status: String,
    /// Days, UTC, as a browser's date field says them; the last one belongs to it.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// Whether runs that found nothing are shown one by one.
    #[serde(default)]
    all: String,
    /// Whether the failed ones come first.
    #[serde(default)]
    failed_first: String,
    /// Where an older page begins.
    #[serde(default)]
    token: String,
}

impl Search {
    fn status(&self) -> Option<ExecutionStatus> {
        STATUSES.into_iter().find(|status| status.as_str() == self.status)
    }

    /// Whether only runs are wanted that a list does not give by itself.
    fn is_search(&self) -> bool {
        !(self.q.is_empty() && self.from.is_empty() && self.to.is_empty())
    }

    fn wants(&self, run: &ExecutionListItem) -> bool {
        let day = iso(&run.start_date);
        let day = day.get(..10).unwrap_or_default();
        run.name.to_lowercase().contains(&self.q.trim().to_lowercase())
            && (self.from.is_empty() || day >= self.from.as_str())
            && (self.to.is_empty() || day <= self.to.as_str())
    }

    /// The address of the same list with another `all` or `token`.
    fn address(&self, all: &str, token: &str) -> String {
        let mut query = Serializer::new(String::new());
        let members = [
            ("q", self.q.as_str()),
            ("status", &self.status),
            ("from", &self.from),
            ("to", &self.to),
            ("failed_first", &self.failed_first),
            ("all", all),
            ("token", token),
        ];
        for (name, value) in members.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        format!("/runs?{}", query.finish())
    }
}

/// A line of the list.
struct Row {
    name: String,
    address: String,
    class: &'static str,
    word: &'static str,
    started: String,
    ended: String,
    took: String,
    what: String,
    redrives: i32,
    /// Whether it found nothing, and may be folded.
    is_quiet: bool,
}

/// Rows, or how many in a row are not shown.
enum Line {
    Run(Row),
    Quiet { count: usize, from: String, to: String },
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    search: Search,
    statuses: [(String, &'static str); 5],
    failed: Vec<Line>,
    lines: Vec<Line>,
    is_folded: bool,
    unfolded: String,
    this: String,
    newest: String,
    older: Option<String>,
}

pub(crate) async fn list(State(site): State<Shared>, Query(search): Query<Search>) -> Result<Response, Failed> {
    page(&site, search).await.map_err(|error| Failed::because(&site, &error))
}

async fn page(site: &Site, search: Search) -> anyhow::Result<Response> {
    let puts_failed_first = !search.failed_first.is_empty() && search.status.is_empty() && search.token.is_empty();
    let first = if puts_failed_first {
        site.orchestrator.page(Some(ExecutionStatus::Failed), PAGE, None).await?.runs
    } else {
        Vec::new()
    };
    let first: Vec<ExecutionListItem> = first.into_iter().filter(|run| search.wants(run)).collect();
    let Page { mut runs, next } = found(site, &search).await?;
    if puts_failed_first {
        // Older failed ones stay where they are.
        runs.retain(|run| !first.iter().any(|shown| shown.execution_arn == run.execution_arn));
    }
    let (failed, rows) = (rows(site, first).await?, rows(site, runs).await?);
    let rows_before = rows.len();
    let lines = if search.all.is_empty() { folded(rows) } else { rows.into_iter().map(Line::Run).collect() };
    Ok(render(&RunsPage {
        frame: Frame::of(site, "Runs"),
        statuses: STATUSES.map(|status| (status.as_str().to_owned(), of_run(&status).1)),
        failed: failed.into_iter().map(Line::Run).collect(),
        is_folded: lines.len() < rows_before,
        unfolded: search.address("1", &search.token),
        this: search.address(&search.all, &search.token),
        newest: search.address(&search.all, ""),
        older: next.map(|token| search.address(&search.all, &token)),
        lines,
        search,
    }))
}

/// The runs that are looked for, and where to go on.
async fn found(site: &Site, search: &Search) -> anyhow::Result<Page> {
    let mut token = Some(search.token.clone()).filter(|token| !token.is_empty());
    if !search.is_search() {
        return site.orchestrator.page(search.status(), PAGE, token).await;
    }
    let mut found = Vec::new();
    for _ in 0..SEARCHES {
        let page = site.orchestrator.page(search.status(), SEARCHED, token).await?;
        // They come in the order of time: what is older than the range has nothing of it behind it.
        let is_over = page.runs.last().is_some_and(|run| !search.from.is_empty() && iso(&run.start_date) < search.from);
        found.extend(page.runs.into_iter().filter(|run| search.wants(run)));
        token = page.next.filter(|_| !is_over);
        if token.is_none() || found.len() >= FOUND {
            break;
        }
    }
    Ok(Page { runs: found, next: token })
}

async fn rows(site: &Site, runs: Vec<ExecutionListItem>) -> anyhow::Result<Vec<Row>> {
    let row = |run: ExecutionListItem| async move {
        let summary = site.summaries.of(&site.orchestrator, &run).await?;
        let (class, word) = of_run(&run.status);
        anyhow::Ok(Row {
            address: address(&run.name),
            name: run.name,
            class,
            word,
            started: iso(&run.start_date),
            ended: run.stop_date.as_ref().map(iso).unwrap_or_default(),
            took: duration(&run.start_date, run.stop_date.as_ref()).unwrap_or_default(),
            what: summary.what.clone(),
            redrives: run.redrive_count.unwrap_or_default(),
            is_quiet: matches!(summary.ending, Ending::UpToDate | Ending::AlreadyRunning),
        })
    };
    iter(runs).map(row).buffered(AT_ONCE).try_collect().await
}

/// Where a run's page is.
pub(crate) fn address(name: &str) -> String {
    format!("/runs/{}", utf8_percent_encode(name, IN_PATH))
}

/// Runs in a row that found nothing, told together.
fn folded(rows: Vec<Row>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut quiet: Vec<Row> = Vec::new();
    let flush = |quiet: &mut Vec<Row>, lines: &mut Vec<Line>| match (quiet.first(), quiet.last()) {
        (Some(newest), Some(oldest)) if quiet.len() >= FOLDED => {
            let (count, from, to) = (quiet.len(), oldest.started.clone(), newest.started.clone());
            quiet.clear();
            lines.push(Line::Quiet { count, from, to });
        }
        _ => lines.extend(quiet.drain(..).map(Line::Run)),
    };
    for row in rows {
        if row.is_quiet {
            quiet.push(row);
        } else {
            flush(&mut quiet, &mut lines);
            lines.push(Line::Run(row));
        }
    }
    flush(&mut quiet, &mut lines);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, is_quiet: bool) -> Row {
        Row {
            name: name.to_owned(),
            address: String::new(),
            class: "",
            word: "",
            started: name.to_owned(),
            ended: String::new(),
            took: String::new(),
            what: String::new(),
            redrives: 0,
            is_quiet,
        }
    }

    #[test]
    fn runs_in_a_row_that_found_nothing_are_one_line() {
        let rows = [("9", true), ("8", true), ("7", false), ("6", true), ("5", false), ("4", true), ("3", true)];
        let lines = folded(rows.map(|(name, is_quiet)| row(name, is_quiet)).into());
        let told = lines.iter().map(|line| match line {
            Line::Run(row) => row.name.clone(),
            Line::Quiet { count, from, to } => format!("{count} from {from} to {to}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), ["2 from 8 to 9", "7", "6", "5", "2 from 3 to 4"]);
    }

    #[test]
    fn an_address_says_what_is_looked_for_and_breaks_out_of_nothing() {
        let search = Search { q: "a&all=1\"><script>".to_owned(), status: "FAILED".to_owned(), ..Search::default() };
        assert_eq!(search.address("", "t/+"), "/runs?q=a%26all%3D1%22%3E%3Cscript%3E&status=FAILED&token=t%2F%2B");
        assert_eq!(address("a/../b?x"), "/runs/a%2F..%2Fb%3Fx");
    }
}
