//! The Lambda function `extract`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    extract::serve().await
}
