//! Whole copies of earlier batches that a target is made of: whether they are still what was written.

use std::collections::BTreeSet;

use catalog::key::Key;
use catalog::manifest::ExtractManifest;
use catalog::message::Plan;
use catalog::{BatchName, Ident, Result};
use host::{Bucket, Host};

/// Copies up to this size are read and compared with their digest; of larger ones the parts have to be there in full.
const READ_BELOW_BYTES: u64 = 64 << 20;

/// The copies that a plan needs and does not make itself.
pub(crate) fn needed(plan: &Plan) -> BTreeSet<(Ident, BatchName)> {
    let built = plan.targets.values().filter(|target| target.build);
    let sources = built.flat_map(|target| &target.sources);
    sources
        .filter_map(|(table, batch)| Some((table.clone(), batch.clone()?)))
        .filter(|(_, batch)| *batch != plan.batch.name)
        .collect()
}

/// Whether a copy is there as it was written.
///
/// # Errors
/// `Lake.Unavailable`, `Lake.AccessDenied`.
pub(crate) async fn is_whole(host: &Host, table: &Ident, batch: &BatchName) -> Result<bool> {
    let key = Key::manifest(table, batch).to_string();
    let manifest = match damage(host.lake.read_json::<ExtractManifest>(Bucket::Ingestion, &key).await)? {
        Some(Some(manifest)) => manifest,
        Some(None) | None => return Ok(false),
    };
    let bytes: u64 = manifest.parts.iter().map(|part| part.bytes).sum();
    for part in &manifest.parts {
        let whole = if bytes <= READ_BELOW_BYTES {
            damage(host.lake.read_part(Bucket::Ingestion, part).await)?.is_some()
        } else {
            host.lake.has_part(Bucket::Ingestion, part).await?
        };
        if !whole {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What was read; `None` where it is damaged.
fn damage<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.fault() == catalog::Fault::LakeCorrupt => {
            tracing::warn!("{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
