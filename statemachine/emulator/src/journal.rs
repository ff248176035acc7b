//! One file an execution: how it was started, then one line for everything that happened. Replayed, it is the execution.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use asl::{Execution, Identity, Machine, Order, Signal, Status, Token};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The first line.
#[derive(Serialize, Deserialize)]
struct Start {
    at: DateTime<Utc>,
    identity: Identity,
    input: Value,
    /// The one that was in force: a redrive goes on with it, whatever is deployed since.
    definition: Value,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
struct Happened {
    at: DateTime<Utc>,
    random: u32,
    #[serde(flatten)]
    signal: Signal,
}

/// An open journal.
pub(crate) struct Journal {
    file: File,
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
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let mut journal = Self { file: file.with_context(|| format!("cannot create {}", path.display()))? };
        let start = Start { at, identity: identity.clone(), input: input.clone(), definition: definition.clone() };
        journal.write(&start)?;
        Ok(journal)
    }

    pub(crate) fn append(&mut self, signal: &Signal, at: DateTime<Utc>, random: u32) -> Result<()> {
        self.write(&Happened { at, random, signal: signal.clone() })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        // One write a line: a crash leaves whole lines and at most one cut one, which is dropped when it is read.
        Ok(self.file.write_all(&text)?)
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

/// The executions of a folder, the newest `keep` of them; older journals are removed.
pub(crate) fn all(folder: &Path, keep: usize) -> Result<Vec<Recorded>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    let old = paths.len().saturating_sub(keep);
    for path in paths.drain(..old) {
        fs::remove_file(path)?;
    }
    let read = |path: PathBuf| replay(&path).with_context(|| format!("{} is damaged; remove it", path.display()));
    paths.into_iter().map(read).filter_map(Result::transpose).collect()
}

/// `None` for one that never began: whoever started it was never told that it did.
fn replay(path: &Path) -> Result<Option<Recorded>> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    let mut whole = lines.read_until(b'\n', &mut line)?;
    if line.last() != Some(&b'\n') {
        fs::remove_file(path)?;
        return Ok(None);
    }
    let start: Start = serde_json::from_slice(&line)?;
    let machine = Machine::parse(&start.definition)?;
    let (mut execution, orders) = Execution::start(machine, start.identity, start.input, start.at);
    let mut open: HashMap<Token, Order> = HashMap::new();
    note(&mut open, orders);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        whole += read;
        let happened: Happened = serde_json::from_slice(&line)?;
        match &happened.signal {
            Signal::TaskSucceeded { token, .. } | Signal::TaskFailed { token, .. } | Signal::Woken { token } => {
                open.remove(token);
            }
            Signal::Stop(_) | Signal::Redrive => {}
        }
        note(&mut open, execution.handle(&happened.signal, happened.at, happened.random));
    }
    let file = OpenOptions::new().append(true).open(path)?;
    // What happens next begins a line of its own.
    file.set_len(u64::try_from(whole)?)?;
    let running = execution.status == Status::Running;
    let rearm = open.values().filter(|order| running && matches!(order, Order::Wake { .. })).cloned().collect();
    Ok(Some(Recorded { execution, journal: Journal { file }, rearm, open }))
}

fn note(open: &mut HashMap<Token, Order>, orders: Vec<Order>) {
    for order in orders {
        if let Order::Call { token, .. } | Order::Wake { token, .. } = order {
            open.insert(token, order);
        }
    }
}
