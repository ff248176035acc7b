//! The ways between the states as lines of right angles, none of which crosses a state: across they run between two rows
//! only, and past a row only where nothing of it stands.

use std::collections::{BTreeMap, HashMap};

use super::place::Place;
use super::shape::Shape;

/// Between a state and a line that passes it.
const CLEAR: i32 = 8;
/// Between two lines.
const LANE: i32 = 5;

/// A way between two states.
pub(super) struct Route {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) is_catch: bool,
    /// Its corners, from left to right where, and at which height.
    pub(super) corners: Vec<(i32, Height)>,
}

/// Where a corner lies, before it is known how high rows and gaps are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Height {
    Top(usize),
    Middle(usize),
    Bottom(usize),
    /// Between rows: which gap, and which lane of it.
    Lane(usize, usize),
}

/// All ways, and how many lanes each gap has: gap 0 is above the first row, each other one below a row.
pub(super) struct Routes {
    pub(super) ways: Vec<Route>,
    pub(super) lanes: Vec<usize>,
}

/// The index of each place's row, from the top, and how many there are.
pub(super) fn rows(places: &[Place]) -> (Vec<usize>, usize) {
    let numbers: std::collections::BTreeSet<i32> = places.iter().map(|place| place.row).collect();
    let index: HashMap<i32, usize> = numbers.iter().enumerate().map(|(index, row)| (*row, index)).collect();
    (places.iter().map(|place| index[&place.row]).collect(), numbers.len())
}

pub(super) fn routes(shape: &Shape<'_>, places: &[Place]) -> Routes {
    let (row_of, count) = rows(places);
    let mut rows = vec![Vec::new(); count];
    for (state, place) in places.iter().enumerate() {
        rows[row_of[state]].push((place.x, place.x + place.width));
    }
    rows.iter_mut().for_each(|row| row.sort_unstable());
    let before = shape.before();
    let mut router = Router { places, row_of, rows, passed: Vec::new(), shared: BTreeMap::new() };
    let mut ways = Vec::new();
    for (from, targets) in shape.ways.iter().enumerate() {
        for way in targets {
            // Lines that meet run together, and so do those that part.
            let trunk = if before[way.to].len() > 1 { Trunk::To(way.to) } else { Trunk::From(from) };
            let corners = router.corners(from, way.to, way.is_catch, trunk);
            ways.push((Route { from, to: way.to, is_catch: way.is_catch, corners: Vec::new() }, trunk, corners));
        }
    }
    let (lane_of, lanes) = router.lanes();
    let known = |(mut route, trunk, corners): (Route, Trunk, Vec<(i32, Draft)>)| {
        let height = |draft| match draft {
            Draft::At(height) => height,
            Draft::Gap(gap) => Height::Lane(gap, lane_of[&(gap, trunk)]),
        };
        route.corners = corners.into_iter().map(|(x, draft)| (x, height(draft))).collect();
        route
    };
    Routes { ways: ways.into_iter().map(known).collect(), lanes }
}

/// What a stretch between two rows is shared by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Trunk {
    From(usize),
    To(usize),
}

#[derive(Clone, Copy)]
enum Draft {
    At(Height),
    Gap(usize),
}

struct Router<'a> {
    places: &'a [Place],
    row_of: Vec<usize>,
    rows: Vec<Vec<(i32, i32)>>,
    /// Where lines pass rows: x, first and last row, for what.
    passed: Vec<(i32, usize, usize, Trunk)>,
    /// From where to where each trunk takes a lane of a gap.
    shared: BTreeMap<(usize, Trunk), (i32, i32)>,
}

impl Router<'_> {
    fn corners(&mut self, from: usize, to: usize, is_catch: bool, trunk: Trunk) -> Vec<(i32, Draft)> {
        let (source, target) = (self.places[from], self.places[to]);
        let (a, b) = (self.row_of[from], self.row_of[to]);
        let end = source.x + source.width;
        if a == b && end <= target.x && !self.rows[a].iter().any(|(start, _)| (end..target.x).contains(start)) {
            let middle = Draft::At(Height::Middle(a));
            return vec![(end, middle), (target.x, middle)];
        }
        let (start, end) = (source.way_out(), target.way_in());
        let down = a < b || (a == b && (source.row > 0 || (source.row == 0 && is_catch)));
        let (leaves, first) = if down { (Height::Bottom(a), a + 1) } else { (Height::Top(a), a) };
        let (enters, last) = match a == b {
            true => (leaves, first),
            false if down => (Height::Top(b), b),
            false => (Height::Bottom(b), b + 1),
        };
        let mut corners = vec![(start, Draft::At(leaves))];
        let mut x = start;
        let mut across = |router: &mut Self, x: &mut i32, gap: usize, to: i32| {
            if *x != to {
                router.share(gap, trunk, *x, to);
                corners.extend([(*x, Draft::Gap(gap)), (to, Draft::Gap(gap))]);
                *x = to;
            }
        };
        if first != last {
            let past = self.passage(first.min(last), first.max(last), (start, end), trunk);
            across(self, &mut x, first, past);
        }
        across(self, &mut x, last, end);
        corners.push((end, Draft::At(enters)));
        corners
    }

    fn share(&mut self, gap: usize, trunk: Trunk, from: i32, to: i32) {
        let (low, high) = (from.min(to), from.max(to));
        let stretch = self.shared.entry((gap, trunk)).or_insert((low, high));
        *stretch = (stretch.0.min(low), stretch.1.max(high));
    }

    /// Where a line passes the rows between two gaps with the shortest way, beside the lines that do so already.
    fn passage(&mut self, first: usize, last: usize, (start, end): (i32, i32), trunk: Trunk) -> i32 {
        let mut taken: Vec<(i32, i32)> = self.rows[first..last].iter().flatten().copied().collect();
        let passed = self.passed.iter().filter(|(_, from, to, other)| *from < last && first < *to && *other != trunk);
        taken.extend(passed.map(|(x, ..)| (x + CLEAR - LANE, x - CLEAR + LANE)));
        taken.sort_unstable();
        let mut free = Vec::new();
        let mut from = i32::MIN;
        for (low, high) in taken {
            if from < low - CLEAR {
                free.push((from, low - CLEAR));
            }
            from = from.max(high + CLEAR);
        }
        free.push((from, i32::MAX));
        let length = |x: i32| (x.abs_diff(start) + x.abs_diff(end), x.abs_diff(end));
        let nearest = free.into_iter().flat_map(|(low, high)| [start.clamp(low, high), end.clamp(low, high)]);
        let x = nearest.min_by_key(|x| length(*x)).unwrap_or(end);
        self.passed.push((x, first, last, trunk));
        x
    }

    /// A lane for each trunk, so that none lies on another, and the lanes of each gap.
    fn lanes(&self) -> (HashMap<(usize, Trunk), usize>, Vec<usize>) {
        let mut stretches: Vec<_> = self.shared.iter().map(|(key, stretch)| (key.0, *stretch, *key)).collect();
        stretches.sort_unstable();
        let mut ends: Vec<Vec<i32>> = vec![Vec::new(); self.rows.len() + 1];
        let mut lane_of = HashMap::new();
        for (gap, (start, end), key) in stretches {
            let free = ends[gap].iter().position(|last| last + CLEAR <= start);
            let lane = free.unwrap_or(ends[gap].len());
            if free.is_none() {
                ends[gap].push(end);
            } else {
                ends[gap][lane] = end;
            }
            lane_of.insert(key, lane);
        }
        (lane_of, ends.into_iter().map(|lanes| lanes.len()).collect())
    }
}
