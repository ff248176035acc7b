//! Which state stands where: a main line, and beside it the lines that leave it: above those that come back to it further on
//! or end well, below those of errors.

use std::collections::{BTreeMap, VecDeque};

use super::shape::{Kind, Shape};

/// Between the states of a line: room for an arrow.
const ARROW: i32 = 24;
/// Between two lines of a row: room for a line that passes.
const APART: i32 = 22;
/// What a row further from the main line costs, in steps to the side.
const ROW: i32 = 70;

/// A state's place. Rows above the main line are negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) row: i32,
    pub(super) x: i32,
    pub(super) width: i32,
}

impl Place {
    /// Where lines come in from above and below.
    pub(super) fn way_in(self) -> i32 {
        self.x + self.width / 2 - self.offset()
    }

    /// Where lines leave to above and below.
    pub(super) fn way_out(self) -> i32 {
        self.x + self.width / 2 + self.offset()
    }

    fn offset(self) -> i32 {
        (self.width / 5).min(9)
    }
}

/// The places of all states, given their widths.
pub(super) fn places(shape: &Shape<'_>, widths: &[i32]) -> Vec<Place> {
    let before = shape.before();
    let mut lines = Lines { shape, widths, before, places: vec![None; widths.len()], rows: BTreeMap::new() };
    if widths.is_empty() {
        return Vec::new();
    }
    let main = lines.follow(0, false);
    lines.put(&main, 0, 0);
    let order = main.iter().enumerate().fold(vec![None; widths.len()], |mut order, (at, state)| {
        order[*state] = Some(at);
        order
    });
    let mut ahead: VecDeque<usize> = lines.targets(&main);
    let mut put_off = 0;
    while let Some(head) = ahead.pop_front() {
        if lines.places[head].is_some() {
            continue;
        }
        // What several lines lead to comes after all of them.
        if lines.is_awaited(head, &[]) && put_off < ahead.len() {
            put_off += 1;
            ahead.push_back(head);
            continue;
        }
        put_off = 0;
        let line = lines.follow(head, true);
        let side = lines.side(head, &order);
        lines.put_beside(&line, side);
        ahead.extend(lines.targets(&line));
    }
    lines.places.into_iter().flatten().collect()
}

struct Lines<'a> {
    shape: &'a Shape<'a>,
    widths: &'a [i32],
    before: Vec<Vec<(usize, bool)>>,
    places: Vec<Option<Place>>,
    /// What of each row is taken, from left to right.
    rows: BTreeMap<i32, Vec<(i32, i32)>>,
}

impl Lines<'_> {
    /// A state and what it leads to without an error, as far as that has no place.
    fn follow(&self, head: usize, beside: bool) -> Vec<usize> {
        let mut line = vec![head];
        let mut is_in = vec![false; self.widths.len()];
        is_in[head] = true;
        let mut last = head;
        loop {
            let free = |to: usize| self.places[to].is_none() && !is_in[to];
            let next = self.shape.ways[last].iter().find(|way| !way.is_catch && free(way.to)).map(|way| way.to);
            match next {
                Some(next) if !(beside && self.is_awaited(next, &line)) => {
                    line.push(next);
                    is_in[next] = true;
                    last = next;
                }
                _ => return line,
            }
        }
    }

    /// Whether another line leads to a state: one that has its place beside the main line, or begins at what has one.
    fn is_awaited(&self, state: usize, line: &[usize]) -> bool {
        let begins = |from: usize| self.before[from].iter().any(|(before, _)| self.places[*before].is_some());
        let leads = |from: usize| match self.places[from] {
            Some(place) => place.row != 0 && !line.is_empty(),
            None => from != state && !line.contains(&from) && begins(from),
        };
        self.before[state].iter().any(|(from, is_catch)| !is_catch && leads(*from))
    }

    fn targets(&self, line: &[usize]) -> VecDeque<usize> {
        line.iter().flat_map(|state| self.shape.ways[*state].iter().map(|way| way.to)).collect()
    }

    /// 1: below, -1: above.
    fn side(&self, head: usize, order: &[Option<usize>]) -> i32 {
        let placed =
            || self.before[head].iter().filter_map(|(from, is_catch)| Some((from, is_catch, self.places[*from]?)));
        if let Some((_, _, place)) = placed().find(|(_, _, place)| place.row != 0) {
            return place.row.signum();
        }
        if placed().all(|(_, is_catch, _)| *is_catch) {
            return 1;
        }
        let begins = placed().filter_map(|(from, _, _)| order[*from]).min();
        let mut seen = vec![false; self.widths.len()];
        let mut state = head;
        while !std::mem::replace(&mut seen[state], true) {
            if let Some(at) = order[state] {
                return if Some(at) > begins { -1 } else { 1 };
            }
            match self.shape.ways[state].iter().find(|way| !way.is_catch) {
                Some(way) => state = way.to,
                None => return if self.shape.states[state].kind == Kind::Fail { 1 } else { -1 },
            }
        }
        1
    }

    /// A line in the nearest row that has room for it, as straight above or below where it begins as can be.
    fn put_beside(&mut self, line: &[usize], side: i32) {
        let begins: Vec<Place> = self.before[line[0]].iter().filter_map(|(from, _)| self.places[*from]).collect();
        let mut from: Vec<i32> = begins.iter().map(|place| place.way_out()).collect();
        from.sort_unstable();
        let first = Place { row: 0, x: 0, width: self.widths[line[0]] };
        let width = self.length(line);
        // Not further to the right than the main line, where it can be helped.
        let end = self.rows.get(&0).and_then(|main| main.last()).map_or(0, |(_, end)| end - width);
        let wanted = from.get(from.len() / 2).map_or(0, |x| x - first.way_in()).min(end).max(0);
        let nearest = begins.iter().map(|place| place.row * side).max().unwrap_or(0).max(0) + 1;
        let farthest = self.rows.keys().map(|row| row * side).max().unwrap_or(0).max(nearest - 1) + 1;
        let slots = (nearest..=farthest).map(|depth| {
            let taken = self.rows.get(&(depth * side)).map(Vec::as_slice).unwrap_or_default();
            let x = slot(taken, wanted, width);
            ((x - wanted).abs() + (depth - nearest) * ROW, depth * side, x)
        });
        let (_, row, x) = slots.min_by_key(|(cost, _, _)| *cost).unwrap_or((0, nearest * side, wanted));
        self.put(line, row, x);
    }

    fn length(&self, line: &[usize]) -> i32 {
        line.iter().map(|state| self.widths[*state] + ARROW).sum::<i32>() - ARROW
    }

    fn put(&mut self, line: &[usize], row: i32, start: i32) {
        let mut x = start;
        for state in line {
            let width = self.widths[*state];
            self.places[*state] = Some(Place { row, x, width });
            x += width + ARROW;
        }
        let taken = self.rows.entry(row).or_default();
        taken.push((start, x - ARROW));
        taken.sort_unstable();
    }
}

/// The place nearest to `wanted` that is so wide and free.
fn slot(taken: &[(i32, i32)], wanted: i32, width: i32) -> i32 {
    let starts = std::iter::once(0).chain(taken.iter().map(|(_, end)| end + APART));
    let ends = taken.iter().map(|(start, _)| start - APART - width).chain(std::iter::once(i32::MAX));
    let free = starts.zip(ends).filter(|(start, end)| start <= end);
    let nearest = free.map(|(start, end)| wanted.clamp(start, end));
    nearest.min_by_key(|x| (x - wanted).abs()).unwrap_or(wanted)
}
