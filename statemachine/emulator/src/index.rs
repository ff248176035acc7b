//! The summaries of ended executions beside their journals, so that a start need not read every journal.
//!
//! It is no second truth: a line counts only while its journal is what it was when the line was written, by length and
//! time. Lost, cut or stale, it costs the reading of the journals it does not tell of, and nothing else.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::summary::Summary;

/// The name is none of a journal.
const NAME: &str = "index";

/// What an ended execution's journal came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    /// The journal's name in the folder.
    journal: String,
    /// Its bytes and its time when it was written last.
    length: u64,
    modified: DateTime<Utc>,
    pub(crate) summary: Summary,
}

impl Line {
    /// `None` where the journal is not, or not any more, of that length: something happened since.
    pub(crate) fn of(journal: &Path, length: u64, summary: Summary) -> Option<Self> {
        let name = journal.file_name()?.to_str()?.to_owned();
        let found = fs::metadata(journal).ok().filter(|found| found.len() == length)?;
        Some(Self { journal: name, length, modified: found.modified().ok()?.into(), summary })
    }

    fn holds(&self, journal: &Path) -> bool {
        fs::metadata(journal).is_ok_and(|found| {
            found.len() == self.length && found.modified().is_ok_and(|at| DateTime::<Utc>::from(at) == self.modified)
        })
    }
}

/// The file.
pub(crate) struct Index {
    path: PathBuf,
    /// Held while a line is written.
    writing: Mutex<()>,
}

/// What the file told when it was opened.
pub(crate) struct Known {
    lines: HashMap<String, Line>,
    /// The lines it had, whole or not.
    written: usize,
}

impl Index {
    pub(crate) fn open(folder: &Path) -> (Self, Known) {
        let path = folder.join(NAME);
        let text = fs::read(&path).unwrap_or_default();
        let mut known = Known { lines: HashMap::new(), written: 0 };
        for text in text.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
            known.written += 1;
            // What a crash cut is no line. Of two of one journal the later is of what was redriven.
            if let Ok(line) = serde_json::from_slice::<Line>(text) {
                known.lines.insert(line.journal.clone(), line);
            }
        }
        (Self { path, writing: Mutex::default() }, known)
    }

    /// Adds a line. Where it cannot be written the next start reads the journal.
    pub(crate) fn add(&self, line: &Line) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _ =
            OpenOptions::new().create(true).append(true).open(&self.path).and_then(|mut file| file.write_all(&text));
    }

    /// Writes it anew, with these lines alone.
    pub(crate) fn write(&self, lines: &[Line]) -> Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let new = self.path.with_extension("new");
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.path));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Known {
    /// The line of that journal, if the journal is still what it tells of.
    pub(crate) fn take(&mut self, journal: &Path) -> Option<Line> {
        let line = self.lines.remove(journal.file_name()?.to_str()?)?;
        line.holds(journal).then_some(line)
    }

    /// The lines that the file had.
    pub(crate) fn written(&self) -> usize {
        self.written
    }
}
