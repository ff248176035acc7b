//! What the libraries tell while they work, said as the program says things itself.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::say;

/// Says from now on what the local stack tells, and what goes wrong elsewhere.
pub fn listen() {
    let stack = [("local", LevelFilter::INFO), ("emulator", LevelFilter::INFO)];
    let heard = Targets::new().with_default(LevelFilter::WARN).with_targets(stack);
    // It is set once, at the start of the program; a second time nothing changes.
    let _ = tracing_subscriber::registry().with(Spoken.with_filter(heard)).try_init();
}

/// Errors and warnings as such, everything else as a plain line.
struct Spoken;

impl<S: Subscriber> Layer<S> for Spoken {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let text = format!("{}{}", text.message, text.members);
        match *event.metadata().level() {
            Level::ERROR => say::error(&text),
            Level::WARN => say::warning(&text),
            Level::INFO | Level::DEBUG | Level::TRACE => say::line(&text),
        }
    }
}

/// A message, then its members: `retried attempt=2`.
#[derive(Default)]
struct Text {
    message: String,
    members: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.members, " {name}={value:?}"),
        };
    }
}
