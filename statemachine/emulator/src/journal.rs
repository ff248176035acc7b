//! One file an execution: how it was started, then one line for everything that happened. Replayed, it is the execution.
//!
//! Of an execution that has ended it is all there is but a summary: what else is asked is read here.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use asl::{Execution, Identity, Machine, Order, Signal, Status, Token};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The first line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Start {
    at: DateTime<Utc>,
    pub(crate) identity: Identity,
    input: Value,
    /// The one that was in force: a redrive goes on with it, whatever is deployed since.
    pub(crate) definition: Value,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
struct Happened {
    at: DateTime<Utc>,
    random: u32,
    #[serde(flatten)]
    signal: Signal,
}

/// The journal of one execution. It is opened for every line: a thousand executions do not hold a thousand files open.
pub(crate) struct Journal {
    path: PathBuf,
    /// The bytes of its whole lines.
    length: u64,
}

impl Journal {
    pub(crate) fn create(
        folder: &Path,
        identity: &Identity,
        input: &Value,
        definition: &Value,
        at: DateTime<Utc>,
    ) -> Result<Self> {
        // An ARN may hold what a file name may not; the time keeps the files in order.
        let digest = hex::encode(&Sha256::digest(&identity.arn)[..6]);
        let path = folder.join(format!("{}-{digest}.jsonl", at.format("%Y%m%dT%H%M%S%3fZ")));
        let failed = || format!("cannot create {}", path.display());
        OpenOptions::new().create_new(true).append(true).open(&path).with_context(failed)?;
        let mut journal = Self { path: path.clone(), length: 0 };
        let start = Start { at, identity: identity.clone(), input: input.clone(), definition: definition.clone() };
        if let Err(error) = journal.write(&start) {
            // Nobody is told that it started, so nothing is to be left of it.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(journal)
    }

    pub(crate) fn append(&mut self, signal: &Signal, at: DateTime<Utc>, random: u32) -> Result<()> {
        self.write(&Happened { at, random, signal: signal.clone() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.add(&text).with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn add(&mut self, line: &[u8]) -> Result<()> {
        let mut file = OpenOptions::new().append(true).open(&self.path)?;
        let found = file.metadata()?;
        if found.is_file() {
            ensure!(found.len() >= self.length, "it has lost lines");
            // Of a line that did not fit the disk a part may be there. What is written next begins a line of its own.
            if found.len() > self.length {
                file.set_len(self.length)?;
            }
        }
        // One write a line: a crash leaves whole lines and at most one cut one, which is dropped when it is read.
        file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// An execution as a journal tells it.
pub(crate) struct Recorded {
    pub(crate) execution: Execution,
    pub(crate) journal: Journal,
    /// Timers to set again.
    pub(crate) rearm: Vec<Order>,
    /// Orders whose answer never came.
    open: HashMap<Token, Order>,
}

impl Recorded {
    /// Tokens of the calls that were out.
    pub(crate) fn waiting(&self) -> Vec<Token> {
        let calls = self.open.iter().filter(|(_, order)| matches!(order, Order::Call { .. }));
        let running = self.execution.status == Status::Running;
        calls.filter(|_| running).map(|(token, _)| *token).collect()
    }
}

/// The journals of a folder, the newest `keep` of them, by time; older ones are removed.
pub(crate) fn all(folder: &Path, keep: usize) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    let old = paths.len().saturating_sub(keep);
    for path in paths.drain(..old) {
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("the old journal {} cannot be removed: {error}", path.display());
        }
    }
    Ok(paths)
}

/// A journal that cannot be read stops nothing: it is put aside under another name, and told of.
pub(crate) fn put_aside(path: &Path, error: &anyhow::Error) {
    let aside = path.with_extension("jsonl.damaged");
    let kept = match fs::rename(path, &aside) {
        Ok(()) => format!("it is kept as {}", aside.display()),
        Err(error) => format!("it cannot be put aside: {error}"),
    };
    tracing::warn!("the journal of an execution is damaged, which is forgotten; {kept}: {error:#}");
}

/// How the execution was started; nothing of what happened since is read.
pub(crate) fn start(path: &Path) -> Result<Start> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).context("line 1")
}

/// `None` for one that never began: whoever started it was never told that it did.
pub(crate) fn replay(path: &Path) -> Result<Option<Recorded>> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    let mut whole = lines.read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        tracing::warn!("the journal {} was cut before its execution began: it is removed", path.display());
        fs::remove_file(path)?;
        return Ok(None);
    }
    let mut number = 1;
    let start: Start = serde_json::from_slice(&line).context("line 1")?;
    let machine = Machine::parse(&start.definition)?;
    let (mut execution, orders) = Execution::start(machine, start.identity, start.input, start.at);
    let mut open: HashMap<Token, Order> = HashMap::new();
    note(&mut open, orders);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            if read > 0 {
                tracing::warn!("the last line of the journal {} was cut: it is dropped", path.display());
            }
            break;
        }
        number += 1;
        whole += read;
        let happened: Happened = serde_json::from_slice(&line).with_context(|| format!("line {number}"))?;
        match &happened.signal {
            Signal::TaskSucceeded { token, .. } | Signal::TaskFailed { token, .. } | Signal::Woken { token } => {
                open.remove(token);
            }
            Signal::Stop(_) | Signal::Redrive => {}
        }
        note(&mut open, execution.handle(&happened.signal, happened.at, happened.random));
    }
    let journal = Journal { path: path.to_owned(), length: u64::try_from(whole)? };
    let running = execution.status == Status::Running;
    let rearm = open.values().filter(|order| running && matches!(order, Order::Wake { .. })).cloned().collect();
    Ok(Some(Recorded { execution, journal, rearm, open }))
}

fn note(open: &mut HashMap<Token, Order>, orders: Vec<Order>) {
    for order in orders {
        if let Order::Call { token, .. } | Order::Wake { token, .. } = order {
            open.insert(token, order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_journals_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["20260101T000000000Z-a.jsonl", "20260102T000000000Z-a.jsonl", "20260103T000000000Z-a.jsonl"];
        let others = ["20250101T000000000Z-a.jsonl.damaged", "index"];
        for name in names.iter().rev().chain(&others) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let kept: Vec<PathBuf> = names[1..].iter().map(|name| folder.path().join(name)).collect();
        assert_eq!(all(folder.path(), 2).unwrap(), kept);
        assert!(!folder.path().join(names[0]).exists());
        assert!(names[1..].iter().chain(&others).all(|name| folder.path().join(name).exists()));
    }
}
