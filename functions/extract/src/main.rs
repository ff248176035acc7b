//! The Lambda function `extract`.

use host::{Needs, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve(Needs::SOURCE, extract::handle).await
}
