//! The drawing as SVG: what a name says is escaped by the template, what a colour means is said by the class.

use std::collections::HashSet;
use std::fmt::Write as _;

use askama::Template;
use runs::View;
use serde_json::Value;

use super::layout::{BOLD, Block, CHIP, Layout, Line, NAME, Rect, SIGN, SMALL, layout, prefix};
use super::shape::{Kind, Shape, State};
use super::text::{clean, fit, id, lines, width};
use super::told::{History, Mark, Told};

/// How round corners are.
const ROUND: i32 = 6;

#[derive(Template)]
#[template(path = "graph.svg")]
struct Drawing {
    width: i32,
    height: i32,
    says: String,
    lines: Vec<Drawn>,
    steps: Vec<Step>,
}

/// A way between two states.
struct Drawn {
    class: &'static str,
    path: String,
    head: String,
}

/// A state or a branch: a link with an outline and texts.
struct Step {
    class: &'static str,
    sort: &'static str,
    is_chosen: bool,
    /// Of the first step of that name.
    id: Option<String>,
    href: String,
    says: String,
    outline: String,
    sign: Option<Sign>,
    texts: Vec<Text>,
}

struct Sign {
    x: i32,
    y: i32,
    path: &'static str,
}

struct Text {
    x: i32,
    y: i32,
    class: &'static str,
    text: String,
}

/// A run's graph, as HTML may hold it and as a file of its own.
pub(crate) fn svg(definition: &Value, view: &View, chosen: Option<&str>, link: &dyn Fn(&str) -> String) -> String {
    let shape = Shape::of(definition);
    let Layout { width, height, boxes, lines } = layout(&shape);
    let names = shape.states.iter().zip(&boxes).map(|(state, block)| (state.name, block.is_main));
    let history = History::of(view, &names.collect());
    let mut steps = Vec::new();
    for (state, block) in shape.states.iter().zip(&boxes) {
        let branches = history.branches(state.name, &state.branches);
        let told = history.state(state.name, state.kind, &branches);
        let is_chosen = chosen == Some(state.name);
        steps.push(Step { is_chosen, ..step(state, block, &told, link) });
        let common = prefix(state).len();
        for ((branch, rect), told) in state.branches.iter().zip(&block.chips).zip(&branches) {
            let is_chosen = chosen.is_some_and(|chosen| branch.states.contains(chosen));
            steps.push(Step { is_chosen, ..chip(branch.main, common, *rect, told, link) });
        }
    }
    let mut ids = HashSet::new();
    for step in &mut steps {
        step.id = step.id.take().filter(|id| ids.insert(id.clone()));
    }
    let mut lines: Vec<(Option<bool>, Drawn)> = lines.iter().map(|line| drawn(line, &shape, &history)).collect();
    // What was taken lies above what was not.
    lines.sort_by_key(|(taken, _)| taken.is_some());
    let lines = lines.into_iter().map(|(_, line)| line).collect();
    let says = format!("Graph of the run: {} steps", steps.len());
    // Writing to a text does not fail.
    Drawing { width, height, says, lines, steps }.render().unwrap_or_default()
}

fn step(state: &State<'_>, block: &Block, told: &Told, link: &dyn Fn(&str) -> String) -> Step {
    let Rect { x, y, width: across, height: high } = block.rect;
    let (middle, centre) = (x + across / 2, y + high / 2);
    let sort = match state.kind {
        Kind::Task => "task",
        Kind::Map => "map",
        Kind::Choice => "choice",
        Kind::Parallel => "parallel",
        Kind::Pass => "pass",
        Kind::Succeed | Kind::Fail => "end",
    };
    let room = across - SIGN - 10;
    let mut step = link_to(state.name, told, link);
    step.sort = sort;
    step.outline = match state.kind {
        Kind::Choice => {
            let (left, right, bottom) = (x + 10, x + across - 10, y + high);
            format!("M{x} {centre}L{left} {y}H{right}L{} {centre}L{right} {bottom}H{left}z", x + across)
        }
        Kind::Succeed | Kind::Fail => rounded(block.rect, high / 2),
        // A Map is a pile.
        Kind::Map => rounded(block.rect, 8) + &format!("M{} {}h{}", x + 8, y + high - 4, across - 16),
        Kind::Parallel => rounded(block.rect, 10),
        Kind::Task | Kind::Pass => rounded(block.rect, 7),
    };
    let is_told = told.mark != Mark::NotRun;
    match state.kind {
        Kind::Parallel => {
            let line = y + 17;
            step.put_sign(told, x + 10, line - 4);
            let start = x + 10 + if is_told { SIGN } else { 0 };
            let name = fit(state.name, BOLD, across - 20 - SIGN - width(&told.detail, SMALL) - 8).into_owned();
            let beside = start + width(&name, BOLD) + 8;
            step.put(start, line, "name start", name);
            let detail = fit(&told.detail, SMALL, x + across - 10 - beside).into_owned();
            step.put(beside, line, "detail start", detail);
        }
        Kind::Task | Kind::Map if !told.detail.is_empty() => {
            step.put(middle, centre - 3, "name", fit(state.name, BOLD, across - 12).into_owned());
            step.put_centred(told, middle, centre + 13, "detail", &fit(&told.detail, SMALL, room));
        }
        Kind::Task | Kind::Map => step.put(middle, centre + 4, "name", fit(state.name, BOLD, across - 12).into_owned()),
        Kind::Choice => {
            let lines = lines(state.name, SMALL, across - SIGN - 20);
            let widest = lines.iter().map(|line| width(line, SMALL)).max().unwrap_or(0);
            let shift = if is_told { SIGN / 2 } else { 0 };
            step.put_sign(told, middle - widest / 2 - shift, centre);
            let first = if lines.len() == 1 { centre + 4 } else { centre - 2 };
            for (line, y) in lines.into_iter().zip([first, first + 12]) {
                step.put(middle + shift, y, "small", line);
            }
        }
        Kind::Pass => step.put_centred(told, middle, centre + 4, "small", &fit(state.name, SMALL, room + 4)),
        Kind::Succeed | Kind::Fail => {
            step.put_centred(told, middle, centre + 4, "name", &fit(state.name, BOLD, room));
        }
    }
    step
}

fn chip(main: &str, common: usize, rect: Rect, told: &Told, link: &dyn Fn(&str) -> String) -> Step {
    let Rect { x, y, width, .. } = rect;
    let mut step = link_to(main, told, link);
    step.sort = "chip";
    step.outline = rounded(rect, 6);
    let name = fit(&main[common..], NAME - 1, width - 16).into_owned();
    if told.mark == Mark::NotRun {
        step.put(x + 9, y + CHIP / 2 + 4, "chip start", name);
    } else {
        step.put(x + 9, y + 14, "chip start", name);
        step.put_sign(told, x + 9, y + 23);
        step.put(x + 9 + SIGN, y + 26, "detail start", fit(&told.detail, SMALL, width - 16 - SIGN).into_owned());
    }
    step
}

fn link_to(name: &str, told: &Told, link: &dyn Fn(&str) -> String) -> Step {
    let mut says = format!("{}: {}", clean(name), told.mark.word());
    if told.mark != Mark::NotRun && !told.detail.is_empty() && told.mark != Mark::Running {
        let _ = write!(says, ", {}", told.detail);
    }
    if !told.outcome.is_empty() {
        let _ = write!(says, ", {}", clean(&told.outcome));
    }
    Step {
        class: told.mark.class(),
        sort: "",
        is_chosen: false,
        id: Some(id(name)),
        href: clean(&link(name)),
        says,
        outline: String::new(),
        sign: None,
        texts: Vec::new(),
    }
}

impl Step {
    fn put(&mut self, x: i32, y: i32, class: &'static str, text: String) {
        self.texts.push(Text { x, y, class, text: clean(&text) });
    }

    fn put_sign(&mut self, told: &Told, x: i32, centre: i32) {
        if told.mark != Mark::NotRun {
            self.sign = Some(Sign { x, y: centre - 5, path: told.mark.sign() });
        }
    }

    /// The sign and a text, together in the middle.
    fn put_centred(&mut self, told: &Told, middle: i32, y: i32, class: &'static str, text: &str) {
        let size = if class == "name" { BOLD } else { SMALL };
        let shift = if told.mark == Mark::NotRun { 0 } else { SIGN / 2 };
        self.put_sign(told, middle - width(text, size) / 2 - shift, y - 4);
        self.put(middle + shift, y, class, text.to_owned());
    }
}

fn rounded(rect: Rect, round: i32) -> String {
    let Rect { x, y, width, height } = rect;
    let (across, down) = (width - 2 * round, height - 2 * round);
    let corner = |x: i32, y: i32| format!("a{round} {round} 0 0 1 {x} {y}");
    let corners = [corner(round, round), corner(-round, round), corner(-round, -round), corner(round, -round)];
    let [first, second, third, fourth] = corners;
    format!("M{} {y}h{across}{first}v{down}{second}h-{across}{third}v-{down}{fourth}z", x + round)
}

fn drawn(line: &Line, shape: &Shape<'_>, history: &History<'_>) -> (Option<bool>, Drawn) {
    let taken = history.taken(shape.states[line.from].name, shape.states[line.to].name);
    let class = match taken {
        Some(true) => "s-caught",
        Some(false) => "s-done",
        None if line.is_catch => "s-none error",
        None => "s-none",
    };
    let mut path = String::new();
    // A vertical way between two gaps has corners in line, which are none.
    for (at, (x, y)) in line.points.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).map(|at| line.points[at]), line.points.get(at + 1));
        let _ = match (before, after) {
            (None, _) => write!(path, "M{x} {y}"),
            (Some(_), None) => write!(path, "L{x} {y}"),
            (Some(before), Some(after)) => {
                let (from, to) = (towards((*x, *y), before), towards((*x, *y), *after));
                write!(path, "L{} {}Q{x} {y} {} {}", from.0, from.1, to.0, to.1)
            }
        };
    }
    (taken, Drawn { class, path, head: head(&line.points) })
}

/// A little way from a corner to the next, no further than half of it.
fn towards(from: (i32, i32), to: (i32, i32)) -> (i32, i32) {
    let step = |from: i32, to: i32| from + ((to - from) / 2).clamp(-ROUND, ROUND);
    (step(from.0, to.0), step(from.1, to.1))
}

fn head(points: &[(i32, i32)]) -> String {
    let [.., before, (x, y)] = points else { return String::new() };
    let (across, down) = ((x - before.0).signum(), (y - before.1).signum());
    let (back_x, back_y) = (x - across * 6, y - down * 6);
    let (side_x, side_y) = (down * 4, across * 4);
    format!("M{x} {y}L{} {}L{} {}z", back_x - side_x, back_y - side_y, back_x + side_x, back_y + side_y)
}
