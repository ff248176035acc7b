//! The lookups of a target: `[….joins.<alias>]`.

use std::sync::Arc;

use super::source::SourceDraft;
use crate::document::{At, Notes, Section};
use crate::model::{Capture, Field, Join, Table};
use crate::sql::Ident;

/// A lookup; what a mistake hides is missing, and the columns that use it do not each complain of that.
pub(super) struct JoinDraft<'s> {
    pub(super) alias: Ident,
    pub(super) table: &'s Arc<Table>,
    pub(super) key: Option<Field>,
    pub(super) on: Option<Field>,
}

impl JoinDraft<'_> {
    /// `None` when a mistake, noted before, leaves something out.
    pub(super) fn finish(self) -> Option<Join> {
        Some(Join { alias: self.alias, table: Arc::clone(self.table), key: self.key?, on: self.on? })
    }
}

/// `[….joins.<alias>] on = "…", table = "…"` (the alias where no table is named).
pub(super) fn read<'s>(
    notes: &mut Notes,
    section: &Section<'_>,
    from: &Table,
    source: &'s SourceDraft,
) -> Vec<JoinDraft<'s>> {
    let mut joins = Vec::new();
    let listed = section.section(notes, "joins");
    for (alias, entry) in listed.map(|listed| listed.sections(notes)).unwrap_or_default() {
        entry.only(notes, &["table", "on"]);
        let Some(alias) = notes.ident(&alias) else { continue };
        let word = entry
            .text(notes, "table")
            .unwrap_or_else(|| At { value: alias.value.to_string(), span: alias.span.clone() });
        let on = entry.required_text(notes, "on", "name the column that holds the looked-up key");
        let (Some(table), Some(on)) = (source.find(notes, &word), on) else {
            continue;
        };
        for snapshot in [from, table] {
            if snapshot.capture != Capture::Snapshot {
                let help = format!("set capture = \"snapshot\" for {}", snapshot.name);
                let message =
                    format!("{} is joined, so a change of one side must reach all rows of the other", snapshot.name);
                notes.add(&alias.span, message, Some(help));
            }
        }
        let found = from.field(&on.value);
        match &found {
            None => {
                let message = format!("{:?} is no column of {}", on.value, from.name);
                notes.unknown(&on.span, message, &on.value, from.columns.iter().map(|column| column.name.as_str()));
            }
            Some(field) => check_join_key(notes, &on, (from, field), table, source),
        }
        let key = if let [key] = &table.key[..] { Some(key.clone()) } else { None };
        joins.push(JoinDraft { alias: alias.value, table, key, on: found });
    }
    joins
}

/// A lookup is by one column, of the type of the column that holds the looked-up key.
fn check_join_key(
    notes: &mut Notes,
    on: &At<String>,
    (from, field): (&Table, &Field),
    table: &Table,
    source: &SourceDraft,
) {
    let [key] = &table.key[..] else {
        // A key that could not be read is noted where it stands.
        if !table.key.is_empty() {
            let message = format!("{} is looked up by one column, but its key has {}", table.name, table.key.len());
            notes.add(&on.span, message, None);
        }
        return;
    };
    let (column, looked_up) = (&field.column, &key.column);
    if looked_up.value != column.value && source.is_clear(from, column) && source.is_clear(table, looked_up) {
        let message =
            format!("{} is {}, but {}.{} is {}", on.value, column.value, table.name, looked_up.name, looked_up.value);
        notes.add(&on.span, message, None);
    }
}
