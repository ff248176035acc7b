//! A run: what it came to and why, its graph, its steps in time, its events, what went in and out.

mod events;
mod redrive;
mod step;
mod steps;

use askama::Template;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use catalog::deployment::Verb;
use runs::figures::duration;
use runs::{Ending, View, failures};
use serde::Deserialize;
use serde_json::Value;

use crate::assets::GRAPH_STYLES;
use crate::figures::{iso, of_run};
use crate::graph;
use crate::page::{Failed, Frame, render};
use crate::runs_page::address;
use crate::site::{Shared, Site};

pub(crate) use redrive::Preview;

/// What of a run is looked at, as it stands in the address.
#[derive(Clone, Default, Deserialize)]
pub(crate) struct Look {
    /// The tab.
    #[serde(default)]
    tab: String,
    /// The state that is chosen.
    #[serde(default)]
    step: String,
    /// Of the events: from which number, and which.
    #[serde(default)]
    after: i64,
    #[serde(default)]
    q: String,
}

/// A run, asked for.
pub(crate) struct Run {
    pub(crate) described: DescribeExecutionOutput,
    pub(crate) events: Vec<HistoryEvent>,
    pub(crate) view: View,
    pub(crate) definition: String,
}

impl Run {
    /// Asks for it.
    pub(crate) async fn of(site: &Site, name: &str) -> Result<Self, Failed> {
        let arn = site.orchestrator.arn(name);
        let asked = async {
            let described = site.orchestrator.describe(&arn).await?;
            let events = site.orchestrator.history(&arn).await?;
            let definition = site.orchestrator.definition(&arn).await?;
            anyhow::Ok((described, events, definition))
        };
        let (described, events, definition) = asked.await.map_err(|error| Failed::because(site, &error))?;
        Ok(Self { view: View::of(&events), described, events, definition })
    }

    pub(crate) fn name(&self) -> &str {
        self.described.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.described.status, ExecutionStatus::Running | ExecutionStatus::PendingRedrive)
    }

    /// Whether it can be redriven: what failed can, and what was stopped.
    pub(crate) fn is_redrivable(&self) -> bool {
        !self.is_at_work() && self.described.status != ExecutionStatus::Succeeded
    }

    fn graph(&self, chosen: Option<&str>) -> String {
        let definition: Value = serde_json::from_str(&self.definition).unwrap_or_default();
        let page = address(self.name());
        let link = |state: &str| format!("{page}?{}#step", member("step", state));
        graph::svg(&definition, &self.view, chosen, &link)
    }
}

fn member(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}

/// The sentence that somebody needs who comes to a run that failed.
struct Banner {
    subject: String,
    error: String,
    what: String,
    remedy: Option<String>,
    step: Option<String>,
}

/// What the run's own line says.
struct Head {
    name: String,
    arn: String,
    class: &'static str,
    word: &'static str,
    started: String,
    ended: String,
    took: String,
    states: usize,
    events: usize,
    redrives: i32,
    redriven: Option<String>,
    came_to: &'static str,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    head: Head,
    address: String,
    like: String,
    this: String,
    tab: &'static str,
    is_at_work: bool,
    is_redrivable: bool,
    banners: Vec<Banner>,
    graph: String,
    legend: [graph::Meaning; 6],
    steps: Vec<steps::Row>,
    step: Option<step::Panel>,
    events: Option<events::Table>,
    definition: String,
    input: String,
    output: String,
    commands: Vec<(&'static str, String)>,
}

/// The tabs, the first where none is named.
pub(crate) const TABS: [(&str, &str); 5] = [
    ("graph", "Graph"),
    ("table", "Table"),
    ("events", "Events"),
    ("definition", "Definition"),
    ("io", "Input and output"),
];

pub(crate) async fn show(
    State(site): State<Shared>,
    Path(name): Path<String>,
    Query(look): Query<Look>,
) -> Result<Response, Failed> {
    let run = Run::of(&site, &name).await?;
    let tab = TABS.iter().find(|(tab, _)| *tab == look.tab).map_or("graph", |(tab, _)| tab);
    let page = address(run.name());
    let chosen = Some(look.step.as_str()).filter(|step| !step.is_empty());
    let mut this = form_urlencoded::Serializer::new(format!("{page}?"));
    this.append_pair("tab", tab);
    for (name, value) in [("step", look.step.as_str()), ("q", &look.q)] {
        if !value.is_empty() {
            this.append_pair(name, value);
        }
    }
    if look.after > 0 {
        this.append_pair("after", &look.after.to_string());
    }
    let text = |text: &Option<String>| pretty(text.as_deref().unwrap_or_default());
    Ok(render(&RunPage {
        frame: Frame::of(&site, run.name()),
        head: head(&run),
        like: member("like", run.name()),
        tab,
        is_at_work: run.is_at_work(),
        is_redrivable: run.is_redrivable(),
        banners: banners(&run, &page),
        graph: if tab == "graph" { run.graph(chosen) } else { String::new() },
        legend: graph::legend(),
        steps: steps::rows(&run, &page, tab, chosen),
        step: chosen.and_then(|step| step::Panel::of(&run, step)),
        events: (tab == "events").then(|| events::Table::of(&run, &page, look.after, &look.q)),
        definition: if tab == "definition" { pretty(&run.definition) } else { String::new() },
        input: if tab == "io" { text(&run.described.input) } else { String::new() },
        output: if tab == "io" { text(&run.described.output) } else { String::new() },
        commands: commands(&site, &run),
        this: this.finish(),
        address: page,
    }))
}

/// The graph as a picture of its own, with its styles.
pub(crate) async fn picture(State(site): State<Shared>, Path(name): Path<String>) -> Result<Response, Failed> {
    let run = Run::of(&site, &name).await?;
    let svg = run.graph(None);
    let (Some(end), false) = (svg.find('>'), svg.is_empty()) else {
        return Err(Failed::new(&site, StatusCode::NOT_FOUND, "this run has no graph"));
    };
    let (open, rest) = svg.split_at(end + 1);
    let text = format!("{open}<style>{GRAPH_STYLES}</style>{rest}");
    let headers =
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CONTENT_DISPOSITION, "attachment; filename=\"run.svg\"")];
    Ok((headers, text).into_response())
}

fn head(run: &Run) -> Head {
    let described = &run.described;
    let (class, word) = of_run(&described.status);
    let output: Value =
        described.output.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let came_to = match Ending::of(&described.status, &output) {
        Ending::Loaded => "the warehouse shows what it read",
        Ending::UpToDate => "nothing had changed",
        Ending::AlreadyRunning => "an older run was at work: this one did nothing",
        Ending::Superseded => "another run was faster: this one changed nothing",
        Ending::Failed => "",
    };
    Head {
        name: run.name().to_owned(),
        arn: described.execution_arn.clone(),
        class,
        word,
        started: iso(&described.start_date),
        ended: described.stop_date.as_ref().map(iso).unwrap_or_default(),
        took: duration(&described.start_date, described.stop_date.as_ref()).unwrap_or_default(),
        states: run.view.visits.len(),
        events: run.events.len(),
        redrives: described.redrive_count.unwrap_or_default(),
        redriven: described.redrive_date.as_ref().map(iso),
        came_to,
    }
}

fn banners(run: &Run, page: &str) -> Vec<Banner> {
    if run.is_at_work() || run.described.status == ExecutionStatus::Succeeded {
        return Vec::new();
    }
    let step_of = |subject: &str| {
        let of_subject =
            |visit: &&runs::Visit| visit.has_failed() && visit.state.split(' ').next_back() == Some(subject);
        let failed = run.view.visits.iter().rfind(|visit| visit.tries > 0 && of_subject(visit));
        let failed = failed.or_else(|| run.view.visits.iter().rfind(|visit| visit.has_failed() && visit.tries > 0));
        failed.map(|visit| format!("{page}?{}#step", member("step", &visit.state)))
    };
    let told = failures(&run.described, &run.view).into_iter().map(|failure| {
        let (what, remedy) = failure.parted();
        Banner {
            step: step_of(&failure.subject),
            subject: failure.subject,
            error: failure.error,
            what: catalog::plain(&what).into_owned(),
            remedy: remedy.map(|remedy| catalog::plain(&remedy).into_owned()),
        }
    });
    told.collect()
}

/// JSON as people read it; what is none as it is.
pub(crate) fn pretty(text: &str) -> String {
    let value = serde_json::from_str::<Value>(text);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| text.to_owned())
}

/// What the buttons stand for, to be copied.
fn commands(site: &Site, run: &Run) -> Vec<(&'static str, String)> {
    let arn = catalog::deployment::quoted(&run.described.execution_arn);
    let aws = |call: &str| format!("aws stepfunctions {call} --execution-arn {arn}");
    let mut commands =
        vec![("What is known of it", aws("describe-execution")), ("Its events", aws("get-execution-history"))];
    let ours = |verb| site.deployment.command(verb, run.name());
    commands.push(("State by state", ours(Verb::Show)));
    if run.is_at_work() {
        commands.extend([("Stop", aws("stop-execution")), ("Stop", ours(Verb::Stop))]);
    }
    if run.is_redrivable() {
        commands.extend([("Redrive", aws("redrive-execution")), ("Redrive and follow", ours(Verb::Redrive))]);
    }
    commands
}
