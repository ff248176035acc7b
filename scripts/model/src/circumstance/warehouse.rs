//! What is done to a warehouse by others than the loader.

use anyhow::{Context as _, Result};
use catalog::Side;
use local::LOADER;

use super::Circumstance;
use crate::reader::LEDGER;
use crate::site::Site;

/// A copy of the warehouse, to be put back later.
const SAVED: &str = "warehouse_saved";
/// Where a warehouse moves to.
const MOVED: &str = "warehouse_moved";

pub(super) async fn save(site: &Site) -> Result<()> {
    let cluster = site.cluster.lock().await;
    let cluster = cluster.as_ref().context("there is no server")?;
    cluster.copy(&cluster.warehouse, SAVED, LOADER).await
}

pub(super) async fn happen(circumstance: Circumstance, site: &Site) -> Result<()> {
    match circumstance {
        Circumstance::TargetsDropped => site.warehouse_does("DROP TABLE fact_sale, dim_product CASCADE").await,
        Circumstance::TargetTruncated => site.warehouse_does("TRUNCATE fact_sale").await,
        Circumstance::WarehouseEmptied => {
            let cluster = site.cluster.lock().await;
            let cluster = cluster.as_ref().context("there is no server")?;
            cluster.drop(&cluster.warehouse).await?;
            cluster.create(&cluster.warehouse, Side::Warehouse).await
        }
        Circumstance::WarehouseRestored => {
            let cluster = site.cluster.lock().await;
            let cluster = cluster.as_ref().context("there is no server")?;
            cluster.copy(SAVED, &cluster.warehouse, LOADER).await
        }
        Circumstance::WarehouseMoved => {
            let moved = async |mut cluster: crate::cluster::Cluster| {
                cluster.copy(&cluster.warehouse, MOVED, LOADER).await?;
                MOVED.clone_into(&mut cluster.warehouse);
                Ok(cluster)
            };
            site.move_databases(moved).await
        }
        Circumstance::ClockPutBack => {
            let later = format!(
                "UPDATE {LEDGER} SET started = started + interval '2 days', committed_at = committed_at + interval '2 days'"
            );
            site.warehouse_does(&later).await
        }
        _ => Ok(()),
    }
}
