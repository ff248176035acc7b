//! What a definition says of its states and the ways between them. Read leniently: what is shown has run, or will be refused
//! by who runs it; a way that leads nowhere is left out.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

/// The states that can be reached, the first one first, and the ways between them.
pub(super) struct Shape<'a> {
    pub(super) states: Vec<State<'a>>,
    /// Of each state, in the order in which they are preferred; a target once.
    pub(super) ways: Vec<Vec<Way>>,
}

pub(super) struct State<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    /// Of a Parallel, those of a Parallel within it as well.
    pub(super) branches: Vec<Branch<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Task,
    Choice,
    Parallel,
    Map,
    Pass,
    Succeed,
    Fail,
}

/// What runs beside others.
pub(super) struct Branch<'a> {
    /// The state that it is named after: its first Task.
    pub(super) main: &'a str,
    /// All of its states, without the Parallels whose branches are told one by one.
    pub(super) states: HashSet<&'a str>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub(super) to: usize,
    pub(super) is_catch: bool,
}

impl<'a> Shape<'a> {
    pub(super) fn of(definition: &'a Value) -> Self {
        let mut shape = Self { states: Vec::new(), ways: Vec::new() };
        let Some(states) = definition.get("States").and_then(Value::as_object) else { return shape };
        let named: Vec<(&str, &Value)> = reachable(definition, states);
        let index: HashMap<&str, usize> = named.iter().enumerate().map(|(index, (name, _))| (*name, index)).collect();
        for (name, state) in named {
            let mut branches = Vec::new();
            branches_of(state, &mut branches);
            shape.states.push(State { name, kind: kind(state), branches });
            let mut ways: Vec<Way> = Vec::new();
            for (target, is_catch) in targets(state) {
                let Some(&to) = index.get(target) else { continue };
                if ways.iter().all(|way| way.to != to) {
                    ways.push(Way { to, is_catch });
                }
            }
            shape.ways.push(ways);
        }
        // A run that ends badly is no main line, whichever rule comes first.
        for ways in &mut shape.ways {
            ways.sort_by_key(|way| way.is_catch || shape.states[way.to].kind == Kind::Fail);
        }
        shape
    }

    /// Of each state, those that lead to it.
    pub(super) fn before(&self) -> Vec<Vec<(usize, bool)>> {
        let mut before = vec![Vec::new(); self.states.len()];
        for (from, ways) in self.ways.iter().enumerate() {
            for way in ways {
                before[way.to].push((from, way.is_catch));
            }
        }
        before
    }
}

/// The states of a machine or a branch from its first one on, each once.
fn reachable<'a>(machine: &'a Value, states: &'a Map<String, Value>) -> Vec<(&'a str, &'a Value)> {
    let start = machine.get("StartAt").and_then(Value::as_str).filter(|start| states.contains_key(*start));
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut ahead: VecDeque<&str> = start.or_else(|| states.keys().next().map(String::as_str)).into_iter().collect();
    while let Some(name) = ahead.pop_front() {
        let Some((name, state)) = states.get_key_value(name) else { continue };
        if seen.insert(name) {
            found.push((name.as_str(), state));
            ahead.extend(targets(state).map(|(target, _)| target));
        }
    }
    found
}

/// Where a state says that it leads, and whether only an error goes there.
fn targets(state: &Value) -> impl Iterator<Item = (&str, bool)> {
    let text = |from: &'static str| state.get(from).and_then(Value::as_str);
    let list = |name: &'static str| {
        let rules = state.get(name).and_then(Value::as_array).into_iter().flatten();
        rules.filter_map(|rule| rule.get("Next").and_then(Value::as_str))
    };
    let ways = text("Next").into_iter().chain(text("Default")).chain(list("Choices")).map(|target| (target, false));
    ways.chain(list("Catch").map(|target| (target, true)))
}

fn kind(state: &Value) -> Kind {
    match state.get("Type").and_then(Value::as_str).unwrap_or_default() {
        "Choice" => Kind::Choice,
        "Parallel" => Kind::Parallel,
        "Map" => Kind::Map,
        "Pass" => Kind::Pass,
        "Succeed" => Kind::Succeed,
        "Fail" => Kind::Fail,
        // A Wait takes time as a Task does; what is of no known type is shown as one.
        _ => Kind::Task,
    }
}

fn branches_of<'a>(state: &'a Value, into: &mut Vec<Branch<'a>>) {
    if kind(state) != Kind::Parallel {
        return;
    }
    for branch in state.get("Branches").and_then(Value::as_array).into_iter().flatten() {
        let Some(states) = branch.get("States").and_then(Value::as_object) else { continue };
        let (parallel, own): (Vec<_>, Vec<_>) =
            reachable(branch, states).into_iter().partition(|(_, state)| kind(state) == Kind::Parallel);
        let task = own.iter().find(|(_, state)| kind(state) == Kind::Task);
        // What only decides or hands on beside a Parallel needs no place of its own.
        let main = task.or(own.first().filter(|_| parallel.is_empty()));
        if let Some(&(main, _)) = main {
            into.push(Branch { main, states: own.iter().map(|(name, _)| *name).collect() });
        }
        for (_, state) in parallel {
            branches_of(state, into);
        }
    }
}
