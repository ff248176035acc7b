//! `pipeline.toml` → [`Catalog`]: what the keys mean, and every law a catalogue must keep.

mod column;
mod join;
mod source;
mod warehouse;

use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use crate::document::{Notes, Section};
use crate::model::{Catalog, Functions, Pipeline, Sizing};
use crate::problem::{Problem, Problems};
use crate::sql::Ident;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// What AWS Lambda allows.
const MEMORY_MB: std::ops::RangeInclusive<u64> = 128..=10_240;
const TIMEOUT_SECONDS: std::ops::RangeInclusive<u64> = 1..=900;

/// Enough for a pipeline of a hundred tables; their memory does not grow with the data.
const PLAN: Sizing = Sizing { memory_mb: 256, timeout_seconds: 60 };
/// The CPU share of a Lambda grows with its memory; beyond this the database is the slower side.
const WORK: Sizing = Sizing { memory_mb: 512, timeout_seconds: 900 };
const HALT: Sizing = Sizing { memory_mb: 128, timeout_seconds: 10 };

impl Catalog {
    /// Reads and checks a catalogue. `file` is its name in messages.
    ///
    /// ```toml
    /// [pipeline]
    /// name = "totesys"
    ///
    /// [source.tables.currency]
    /// key = "currency_id"
    /// capture = "snapshot"
    /// columns = { currency_id = "integer", currency_code = "varchar(3)" }
    ///
    /// [dimensions.dim_currency]
    /// from = "currency"
    /// columns = { currency_id = "currency_id", currency_name = { currency_name = "currency_code" } }
    /// ```
    ///
    /// # Errors
    /// Every mistake of the file at once; mistakes of syntax hide the others.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let list = errors
                .iter()
                .map(|error| Problem {
                    span: error.span().unwrap_or(0..0),
                    message: error.message().to_owned(),
                    help: None,
                })
                .collect();
            return Err(Problems::new(file, text, list));
        }
        let mut notes = Notes::default();
        let catalog = catalog(&mut notes, &Section::root(document.get_ref()), file, text);
        match catalog {
            Some(catalog) if notes.problems.is_empty() => Ok(catalog),
            _ => Err(Problems::new(file, text, notes.problems)),
        }
    }
}

fn catalog(notes: &mut Notes, root: &Section<'_>, file: &str, text: &str) -> Option<Catalog> {
    root.only(notes, &["pipeline", "functions", "source", "warehouse", "dimensions", "facts"]);
    let pipeline = pipeline(notes, root);
    let functions = functions(notes, root);
    let source = source::read(notes, root, text);
    let warehouse = warehouse::read(notes, root, text, source.as_ref());
    let file = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy()).into_owned();
    Some(Catalog { file, pipeline: pipeline?, functions, source: source?.source, warehouse: warehouse? })
}

fn pipeline(notes: &mut Notes, root: &Section<'_>) -> Option<Pipeline> {
    let section = root.required_section(notes, "pipeline", "add [pipeline] with a name")?;
    section.only(notes, &["name", "schedule", "reread", "timeout", "alerts"]);
    let name = section.required_text(notes, "name", "it begins the name of everything that is deployed")?;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.value.chars().all(legal)
        || !name.value.starts_with(|c: char| c.is_ascii_lowercase())
        || name.value.ends_with('-')
        || name.value.len() > 20
    {
        let help = "lower-case letters, digits and hyphens, beginning with a letter, at most 20".to_owned();
        notes.add(&name.span, format!("{:?} cannot begin the names of AWS resources", name.value), Some(help));
    }
    let schedule = section.duration(notes, "schedule", MINUTE, MINUTE..=DAY, 5 * MINUTE);
    let reread = section.duration(notes, "reread", MINUTE, MINUTE..=DAY, 30 * MINUTE);
    let timeout = section.duration(notes, "timeout", Duration::from_secs(1), MINUTE..=30 * DAY, DAY / 4);
    let mut alerts = Vec::new();
    for address in section.texts(notes, "alerts").unwrap_or_default() {
        let shaped = address.value.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'));
        if !shaped || address.value.contains(char::is_whitespace) {
            notes.add(&address.span, format!("{:?} is not an e-mail address", address.value), None);
        }
        alerts.push(address.value);
    }
    Some(Pipeline { name: name.value, schedule, reread, timeout, alerts })
}

fn functions(notes: &mut Notes, root: &Section<'_>) -> Functions {
    let section = root.section(notes, "functions");
    if let Some(section) = &section {
        section.only(notes, &["checkpoint", "plan", "load", "halt"]);
    }
    let mut sizing = |name: &str, default: Sizing| {
        let Some(section) = section.as_ref().and_then(|section| section.section(notes, name)) else {
            return default;
        };
        section.only(notes, &["memory_mb", "timeout_seconds"]);
        sized(notes, &section, default)
    };
    Functions {
        checkpoint: sizing("checkpoint", PLAN),
        plan: sizing("plan", PLAN),
        load: sizing("load", WORK),
        halt: sizing("halt", HALT),
    }
}

fn sized(notes: &mut Notes, section: &Section<'_>, default: Sizing) -> Sizing {
    let memory_mb = section.number(notes, "memory_mb", MEMORY_MB, default.memory_mb.into());
    let timeout_seconds = section.number(notes, "timeout_seconds", TIMEOUT_SECONDS, default.timeout_seconds.into());
    Sizing {
        memory_mb: u32::try_from(memory_mb).unwrap_or(default.memory_mb),
        timeout_seconds: u32::try_from(timeout_seconds).unwrap_or(default.timeout_seconds),
    }
}

fn line(text: &str, span: &std::ops::Range<usize>) -> usize {
    crate::problem::position(text, span.start).0
}

/// `schema = "…"`, or Postgres' own default.
fn schema(notes: &mut Notes, section: &Section<'_>) -> Ident {
    section.text(notes, "schema").and_then(|word| notes.ident(&word)).map_or_else(public, |ident| ident.value)
}

fn public() -> Ident {
    Ident::derived(&["public"])
}
