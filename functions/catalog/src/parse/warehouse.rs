//! `[warehouse]`, `[dimensions]` and `[facts]`: the star schema and how its columns come about.

use std::ops::Range;
use std::sync::Arc;

use super::column::{ColumnDraft, Expression};
use super::join::JoinDraft;
use super::source::SourceDraft;
use super::{column, join, line, sized};
use crate::document::{At, Notes, Section};
use crate::ledger::LedgerTable;
use crate::model::{
    CalendarAttribute, Derivation, Derived, Origin, Reference, Sizing, Table, Target, TargetKind, ValueType, Warehouse,
    Word,
};
use crate::sql::Ident;

pub(super) fn read(
    notes: &mut Notes,
    root: &Section<'_>,
    text: &str,
    source: Option<&SourceDraft>,
) -> Option<Warehouse> {
    let section = root.section(notes, "warehouse");
    if let Some(section) = &section {
        section.only(notes, &["schema", "ledger", "reject_limit"]);
    }
    let schema = section.as_ref().map_or_else(super::public, |section| super::schema(notes, section));
    let ledger = section.as_ref().and_then(|section| section.text(notes, "ledger"));
    let ledger = ledger.and_then(|word| notes.ident(&word)).map(|ident| ident.value);
    let ledger = ledger.unwrap_or_else(|| Ident::derived(&[crate::ledger::SCHEMA]));
    let reject_limit = section.map_or(100, |section| section.number(notes, "reject_limit", 0..=10_000, 100));
    let mut drafts: Vec<TargetDraft<'_>> = Vec::new();
    let mut declared: Vec<Ident> = Vec::new();
    for (group, facts) in [("dimensions", false), ("facts", true)] {
        let listed = root.section(notes, group);
        for (name, entry) in listed.map(|listed| listed.sections(notes)).unwrap_or_default() {
            let Some(name) = notes.ident(&name) else { continue };
            if declared.contains(&name.value) {
                notes.add(&name.span, format!("{} is a dimension already", name.value), None);
            }
            declared.push(name.value.clone());
            drafts.extend(target(notes, &name, &entry, facts, text, source?));
        }
    }
    if declared.is_empty() {
        let help = "add [dimensions.<name>] or [facts.<name>] for every warehouse table".to_owned();
        notes.add(&(0..0), "the file names nothing to build", Some(help));
    }
    resolve_references(notes, &mut drafts, &declared);
    if let Some(taken) =
        declared.iter().find(|name| ledger == schema && LedgerTable::ALL.iter().any(|own| own.name() == name.as_str()))
    {
        let help = "give [warehouse] ledger another name".to_owned();
        notes.add(&(0..0), format!("{taken} is a table of the pipeline's own in schema {ledger}"), Some(help));
    }
    let targets = drafts.into_iter().map(|draft| draft.finish().map(Arc::new)).collect::<Option<_>>()?;
    Some(Warehouse { schema, ledger, reject_limit, targets })
}

/// A target as far as its own section tells.
struct TargetDraft<'s> {
    name: Ident,
    kind: TargetKind,
    /// `None` for a calendar.
    table: Option<&'s Arc<Table>>,
    joins: Vec<JoinDraft<'s>>,
    key: Vec<Ident>,
    columns: Vec<ColumnDraft>,
    sizing: Sizing,
    line: usize,
}

impl TargetDraft<'_> {
    fn is_fact(&self) -> bool {
        matches!(self.kind, TargetKind::Fact { .. })
    }

    /// `None` when a mistake, noted before, leaves something out.
    fn finish(self) -> Option<Target> {
        let (columns, expressions): (Vec<_>, Vec<_>) =
            self.columns.into_iter().map(|draft| (draft.column, draft.expression)).unzip();
        let origin = match self.table {
            Some(table) => {
                let derived = |expression| match expression {
                    Expression::Derived(derived) => Some(derived),
                    Expression::Calendar(_) => None,
                };
                Origin::Table(Derivation {
                    table: Arc::clone(table),
                    joins: self.joins.into_iter().map(JoinDraft::finish).collect::<Option<_>>()?,
                    columns: expressions.into_iter().map(derived).collect::<Option<_>>()?,
                })
            }
            None => {
                let attribute = |expression| match expression {
                    Expression::Calendar(attribute) => Some(attribute),
                    Expression::Derived(_) => None,
                };
                Origin::Calendar(expressions.into_iter().map(attribute).collect::<Option<_>>()?)
            }
        };
        Some(Target {
            name: self.name,
            kind: self.kind,
            origin,
            key: self.key,
            columns,
            sizing: self.sizing,
            line: self.line,
        })
    }
}

fn target<'s>(
    notes: &mut Notes,
    name: &At<Ident>,
    section: &Section<'_>,
    is_fact: bool,
    text: &str,
    source: &'s SourceDraft,
) -> Option<TargetDraft<'s>> {
    let known: &[&str] = if is_fact {
        &["from", "surrogate_key", "joins", "columns", "memory_mb", "timeout_seconds"]
    } else {
        &["from", "calendar", "joins", "columns", "memory_mb", "timeout_seconds"]
    };
    section.only(notes, known);
    let kind = kind(notes, section, is_fact)?;
    let calendar = section.flag(notes, "calendar").is_some_and(|flag| flag.value);
    let table = if calendar {
        if section.has("from") {
            notes.add(
                &section.span,
                "a calendar takes its dates from the facts that refer to it, not \"from\" a table",
                None,
            );
        }
        None
    } else {
        let word = section.required_text(notes, "from", "name the source table its rows come from")?;
        Some(source.find(notes, &word)?)
    };
    let joins = table.map(|table| join::read(notes, section, table, source)).unwrap_or_default();
    let scope = column::Scope { target: &name.value, table, joins: &joins, source };
    let mut columns: Vec<ColumnDraft> = Vec::new();
    let listed = section.required_section(notes, "columns", "name the columns of the warehouse table");
    if let Some(listed) = &listed {
        for word in listed.names() {
            let Some(column) = notes.ident(&word) else { continue };
            columns.extend(column::read(notes, listed, &column, &scope, line(text, &column.span)));
        }
    }
    if let TargetKind::Fact { surrogate_key } = &kind
        && columns.iter().any(|draft| &draft.column.name == surrogate_key)
    {
        notes.add(&section.span, format!("the surrogate key {surrogate_key} is numbered by the warehouse"), None);
    }
    let columns_span = listed.map_or_else(|| section.span.clone(), |listed| listed.span);
    let key = key(notes, &columns_span, name, table, &columns);
    Some(TargetDraft {
        name: name.value.clone(),
        kind,
        table,
        joins,
        key,
        columns,
        sizing: sized(notes, section, super::WORK),
        line: line(text, &name.span),
    })
}

fn kind(notes: &mut Notes, section: &Section<'_>, is_fact: bool) -> Option<TargetKind> {
    if !is_fact {
        return Some(TargetKind::Dimension);
    }
    let word = section.required_text(notes, "surrogate_key", "name the serial column that numbers the versions")?;
    Some(TargetKind::Fact { surrogate_key: notes.ident(&word)?.value })
}

/// The columns that carry the origin's key: what makes a row of the target the same row again.
fn key(
    notes: &mut Notes,
    span: &Range<usize>,
    name: &At<Ident>,
    table: Option<&Arc<Table>>,
    drafts: &[ColumnDraft],
) -> Vec<Ident> {
    let Some(table) = table else {
        let date = Expression::Calendar(CalendarAttribute::Date);
        let key: Vec<Ident> =
            drafts.iter().filter(|draft| draft.expression == date).map(|draft| draft.column.name.clone()).collect();
        if key.len() != 1 {
            notes.add(span, format!("the calendar {} needs one column with calendar = \"date\"", name.value), None);
        }
        return key;
    };
    let mut key = Vec::new();
    for part in &table.key {
        let carries = |draft: &&ColumnDraft| match &draft.expression {
            Expression::Derived(Derived { word: Word::From, of }) => of.join.is_none() && of.field.place == part.place,
            Expression::Derived(_) | Expression::Calendar(_) => false,
        };
        match drafts.iter().find(carries) {
            Some(draft) => key.push(draft.column.name.clone()),
            None => {
                let part = &part.column.name;
                let help = format!("add {part} = \"{part}\": without it a changed row is not known again");
                notes.add(
                    span,
                    format!("{} has no column for {part}, the key of {}", name.value, table.name),
                    Some(help),
                );
            }
        }
    }
    key
}

/// What of a dimension decides whether it can be referred to.
struct Dimension {
    name: Ident,
    key: Vec<(Ident, ValueType)>,
}

impl Dimension {
    fn of(target: &TargetDraft<'_>) -> Self {
        let is_key = |draft: &&ColumnDraft| target.key.contains(&draft.column.name);
        let key = target.columns.iter().filter(is_key).map(|draft| (draft.column.name.clone(), draft.column.value));
        Self { name: target.name.clone(), key: key.collect() }
    }
}

/// Every `references` names a dimension whose key is one column of the same type.
fn resolve_references(notes: &mut Notes, drafts: &mut [TargetDraft<'_>], declared: &[Ident]) {
    let read: Vec<Ident> = drafts.iter().map(|target| target.name.clone()).collect();
    let dimensions: Vec<Dimension> = drafts.iter().filter(|target| !target.is_fact()).map(Dimension::of).collect();
    for target in drafts {
        let is_fact = target.is_fact();
        for draft in &mut target.columns {
            let Some(named) = &draft.references else { continue };
            let (dimension, span) = (&named.value, &named.span);
            if !is_fact {
                let help = "join the table instead; only facts refer to dimensions".to_owned();
                notes.add(span, format!("{} is a dimension", target.name), Some(help));
                continue;
            }
            let Some(found) = dimensions.iter().find(|other| other.name == *dimension) else {
                // One that could not be read has mistakes of its own.
                if !declared.contains(dimension) || read.contains(dimension) {
                    let known = dimensions.iter().map(|other| other.name.as_str());
                    let message = format!("{:?} is no dimension", dimension.as_str());
                    notes.unknown(span, message, dimension.as_str(), known);
                }
                continue;
            };
            let column = &mut draft.column;
            match &found.key[..] {
                [(key, wanted)] => {
                    if *wanted != column.value {
                        let message = format!("{} is {}, but {dimension}.{key} is {wanted}", column.name, column.value);
                        notes.add(span, message, None);
                    }
                    column.references = Some(Reference { dimension: dimension.clone(), key: key.clone() });
                }
                [] => {} // Noted where it stands.
                _ => notes.add(span, format!("{dimension} has no key of one column to refer to"), None),
            }
        }
    }
}
