//! The Lambda function `load`.

use host::{Needs, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve(Needs::WAREHOUSE, load::handle).await
}
