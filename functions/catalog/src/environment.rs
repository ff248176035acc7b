//! The names of a function's settings: written where it is deployed, read where it starts.

/// Path of the catalogue; `pipeline.toml` beside the program without it.
pub const CATALOG: &str = "DATADETOX_CATALOG";
/// Name of the bucket of CSV.
pub const INGESTION_BUCKET: &str = "DATADETOX_INGESTION_BUCKET";
/// Name of the bucket of Parquet and commits.
pub const PROCESSED_BUCKET: &str = "DATADETOX_PROCESSED_BUCKET";
/// Name or ARN of the secret with the source credentials.
pub const SOURCE_SECRET: &str = "DATADETOX_SOURCE_SECRET";
/// Name or ARN of the secret with the warehouse credentials.
pub const WAREHOUSE_SECRET: &str = "DATADETOX_WAREHOUSE_SECRET";
/// Host of the warehouse, where its secret holds only the user and the password, as those do that RDS manages.
pub const WAREHOUSE_HOST: &str = "DATADETOX_WAREHOUSE_HOST";
/// Database of the warehouse on that host.
pub const WAREHOUSE_DATABASE: &str = "DATADETOX_WAREHOUSE_DATABASE";
