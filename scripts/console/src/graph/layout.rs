//! A definition as boxes and lines, in pixels.

use super::place::{Place, places};
use super::route::{self, Height};
use super::shape::{Kind, Shape, State};
use super::text::{lines, width};

/// Height of letters: of names, and of what is told beside them.
pub(super) const NAME: i32 = 12;
pub(super) const SMALL: i32 = 10;
/// What bold names are measured with: they are wider.
pub(super) const BOLD: i32 = NAME + 1;
/// Around the drawing.
const MARGIN: i32 = 10;
/// Room of a sign beside a text.
pub(super) const SIGN: i32 = 14;
/// Of a Parallel: around its chips, its title, between its chips; of a chip.
const PADDING: i32 = 10;
pub(super) const TITLE: i32 = 26;
const BETWEEN: i32 = 6;
pub(super) const CHIP: i32 = 32;
/// The widest that a text may be.
const LONGEST: i32 = 150;
/// Room of the longest detail that is usual: `11 of 11 failed`.
const DETAIL: i32 = 86;
/// The narrowest that a task is: `14 min 2 s` and its sign.
const TASK: i32 = 76;
/// Between two rows without lines, and between two lines.
const GAP: i32 = 16;
const LANE: i32 = 5;

pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) height: i32,
    /// As the shape's states.
    pub(super) boxes: Vec<Block>,
    pub(super) lines: Vec<Line>,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A state's box, and within it one for each of its branches.
pub(super) struct Block {
    pub(super) rect: Rect,
    pub(super) chips: Vec<Rect>,
    /// Whether it stands in the main line.
    pub(super) is_main: bool,
}

pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) is_catch: bool,
    pub(super) points: Vec<(i32, i32)>,
}

/// Sizes depend on names alone: a run that goes on moves nothing.
pub(super) fn layout(shape: &Shape<'_>) -> Layout {
    let sizes: Vec<(i32, i32)> = shape.states.iter().map(size).collect();
    let places = places(shape, &sizes.iter().map(|(width, _)| *width).collect::<Vec<_>>());
    let routes = route::routes(shape, &places);
    let (row_of, count) = route::rows(&places);

    let mut heights = vec![0; count];
    for (row, (_, height)) in row_of.iter().zip(&sizes) {
        heights[*row] = heights[*row].max(*height);
    }
    let gap = |gap: usize| match i32::try_from(routes.lanes[gap]).unwrap_or(i32::MAX) {
        0 if gap == 0 || gap == count => 0,
        0 => GAP,
        lanes => GAP + lanes.saturating_mul(LANE),
    };
    // Where each row begins, and each gap.
    let mut tops = Vec::with_capacity(count);
    let mut gaps = vec![MARGIN];
    for (row, height) in heights.iter().enumerate() {
        let top = gaps[row] + gap(row);
        tops.push(top);
        gaps.push(top + height);
    }
    let x_of = |point: &(i32, Height)| point.0;
    let all = routes.ways.iter().flat_map(|way| way.corners.iter().map(x_of));
    let left = all.clone().chain(places.iter().map(|place| place.x)).min().unwrap_or(0);
    let right = all.chain(places.iter().map(|place| place.x + place.width)).max().unwrap_or(0);
    let shift = MARGIN - left;

    let block = |(state, place): (usize, &Place)| {
        let (width, height) = sizes[state];
        let y = tops[row_of[state]] + (heights[row_of[state]] - height) / 2;
        let rect = Rect { x: place.x + shift, y, width, height };
        Block { rect, chips: chips(&shape.states[state], rect), is_main: place.row == 0 }
    };
    let boxes: Vec<Block> = places.iter().enumerate().map(block).collect();
    let line = |way: route::Route| {
        let ends = [way.from, way.to].map(|state| boxes[state].rect);
        let last = way.corners.len().saturating_sub(1);
        let point = |(at, (x, height)): (usize, &(i32, Height))| {
            let rect = ends[usize::from(at == last)];
            let y = match *height {
                Height::Top(_) => rect.y,
                Height::Bottom(_) => rect.y + rect.height,
                Height::Middle(row) => tops[row] + heights[row] / 2,
                Height::Lane(gap, lane) => {
                    gaps[gap] + GAP / 2 + i32::try_from(lane).unwrap_or(i32::MAX).saturating_mul(LANE)
                }
            };
            (x + shift, y)
        };
        let points = way.corners.iter().enumerate().map(point).collect();
        Line { from: way.from, to: way.to, is_catch: way.is_catch, points }
    };
    let lines = routes.ways.into_iter().map(line).collect();
    let height = gaps.last().copied().unwrap_or(MARGIN) + gap(count.min(routes.lanes.len() - 1)) + MARGIN;
    Layout { width: right + shift + MARGIN, height, boxes, lines }
}

/// The words that all of a Parallel's branches begin with say nothing in a chip.
pub(super) fn prefix<'a>(state: &State<'a>) -> &'a str {
    let mut mains = state.branches.iter().map(|branch| branch.main);
    let Some(first) = mains.next() else { return "" };
    let mut common = match first.rfind(' ') {
        Some(space) => &first[..=space],
        None => return "",
    };
    let own = common.strip_prefix(state.name).is_some_and(|rest| rest == " ");
    if state.branches.len() == 1 && !own {
        return "";
    }
    for main in mains {
        while !(main.starts_with(common) && main.len() > common.len()) {
            common = match common.trim_end_matches(' ').rfind(' ') {
                Some(space) => &common[..=space],
                None => return "",
            };
        }
    }
    if first.len() > common.len() { common } else { "" }
}

fn size(state: &State<'_>) -> (i32, i32) {
    let text = |size: i32| width(state.name, size).min(LONGEST);
    match state.kind {
        Kind::Task | Kind::Map => ((text(BOLD) + 2 * PADDING).max(TASK), 42),
        Kind::Pass => (text(SMALL) + SIGN + PADDING, 24),
        Kind::Succeed | Kind::Fail => (text(BOLD) + SIGN + 2 * PADDING, 28),
        Kind::Choice => {
            let lines = lines(state.name, SMALL, LONGEST);
            let widest = lines.iter().map(|line| width(line, SMALL)).max().unwrap_or(0);
            (widest + SIGN + 2 * PADDING, 36)
        }
        Kind::Parallel => {
            let (columns, rows, chip) = grid(state);
            let grid = columns * (chip + BETWEEN) - BETWEEN;
            let title = text(BOLD) + SIGN + DETAIL;
            (grid.max(title) + 2 * PADDING, TITLE + rows * (CHIP + BETWEEN) - BETWEEN + PADDING)
        }
    }
}

/// Columns, rows, and the width of a chip.
fn grid(state: &State<'_>) -> (i32, i32, i32) {
    let common = prefix(state).len();
    let count = i32::try_from(state.branches.len()).unwrap_or(i32::MAX);
    let columns = count.isqrt().max(1);
    let names = state.branches.iter().map(|branch| width(&branch.main[common..], NAME - 1));
    let chip = names.max().unwrap_or(0).clamp(60, LONGEST) + 2 * PADDING;
    (columns, count.max(1).unsigned_abs().div_ceil(columns.unsigned_abs()).cast_signed(), chip)
}

fn chips(state: &State<'_>, around: Rect) -> Vec<Rect> {
    if state.branches.is_empty() {
        return Vec::new();
    }
    let (columns, _, _) = grid(state);
    // They fill the box where its title is wider.
    let width = (around.width - 2 * PADDING + BETWEEN) / columns - BETWEEN;
    let chip = |at: i32| Rect {
        x: around.x + PADDING + at % columns * (width + BETWEEN),
        y: around.y + TITLE + at / columns * (CHIP + BETWEEN),
        width,
        height: CHIP,
    };
    (0..).map(chip).take(state.branches.len()).collect()
}
