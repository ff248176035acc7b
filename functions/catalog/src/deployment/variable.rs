//! The names of a function's settings: written where it is deployed, read where it starts.

use crate::contract::side::Side;
use crate::key::Bucket;

/// Path of the catalogue; `pipeline.toml` beside the program without it.
pub const CATALOG: &str = "DATADETOX_CATALOG";
/// Host of the warehouse, where its secret holds only the user and the password, as those do that RDS manages.
pub const WAREHOUSE_HOST: &str = "DATADETOX_WAREHOUSE_HOST";
/// Database of the warehouse on that host.
pub const WAREHOUSE_DATABASE: &str = "DATADETOX_WAREHOUSE_DATABASE";

/// Name or ARN of the secret with the credentials of a database.
#[must_use]
pub fn secret(side: Side) -> &'static str {
    match side {
        Side::Source => "DATADETOX_SOURCE_SECRET",
        Side::Warehouse => "DATADETOX_WAREHOUSE_SECRET",
    }
}

/// Name of a bucket.
#[must_use]
pub fn bucket(bucket: Bucket) -> &'static str {
    match bucket {
        Bucket::Ingestion => "DATADETOX_INGESTION_BUCKET",
        Bucket::Processed => "DATADETOX_PROCESSED_BUCKET",
    }
}
