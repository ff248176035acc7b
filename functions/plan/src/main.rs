//! The Lambda function `plan`.

use host::{Needs, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve(Needs::SOURCE, plan::handle).await
}
