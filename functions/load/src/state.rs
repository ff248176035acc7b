//! What a batch knew of the source, for the next one to build on. It lies in the lake and counts once the ledger names it.

use std::collections::BTreeMap;

use catalog::key::Key;
use catalog::message::{Counts, LoadRequest};
use catalog::state::State;
use catalog::{Catalog, Error, Fault, Ident, Result};
use host::{Bucket, Host};

/// The state after a batch: what was planned, and of each table that was read what its own read says (R5).
pub(crate) fn of(request: &LoadRequest, catalog: &Catalog, targets: &BTreeMap<Ident, Counts>) -> State {
    let mut state = request.next.clone();
    let read = request.extracted.iter().filter_map(|read| Some((read.table.clone(), read.state.clone()?)));
    state.tables.extend(read);
    let deferred = targets.iter().filter(|(_, counts)| counts.deferred > 0);
    for (target, _) in deferred {
        must_come_again(&mut state, catalog, target);
    }
    state
}

/// The tables of deferred rows prove nothing by their counters: their rows must come again.
fn must_come_again(state: &mut State, catalog: &Catalog, target: &Ident) {
    let tables = catalog.target(target.as_str()).map(|target| catalog.sources_of(target)).unwrap_or_default();
    for table in tables {
        if let Some(state) = state.tables.get_mut(&table.name) {
            state.counters = None;
        }
    }
}

/// Writes it; its key. A try that lost the answer finds its own.
pub(crate) async fn write(host: &Host, state: State) -> Result<String> {
    let key = Key::State { batch: state.batch.name.clone(), attempt: host.call.attempt() }.to_string();
    let (found, _) = host.lake.create_json(Bucket::Processed, &key, state.clone()).await?;
    if found == state {
        return Ok(key);
    }
    Err(Error::new(Fault::LakeCorrupt, format!("{key} is there already and says something else")))
}
