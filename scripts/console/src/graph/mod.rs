//! The graph of a run: what its definition lays out, in the colours of what happened.
//!
//! Pure: the same definition and history make the same text. Colours are classes alone (`assets/graph.css`), as the pages
//! allow no style within them; a sign and a word say the same as each.

mod layout;
mod place;
mod route;
mod shape;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod told;

pub(crate) use svg::svg;
use told::Mark;

/// What the colours mean.
pub(crate) fn legend() -> [Meaning; 6] {
    let marks = [Mark::Done, Mark::Running, Mark::Failed, Mark::Caught, Mark::Aborted, Mark::NotRun];
    marks.map(|mark| Meaning { class: mark.class(), word: mark.word(), sign: mark.sign() })
}

/// A colour's meaning.
pub(crate) struct Meaning {
    /// Of the element that it colours.
    pub(crate) class: &'static str,
    pub(crate) word: &'static str,
    /// An SVG path in a square of 10.
    pub(crate) sign: &'static str,
}
