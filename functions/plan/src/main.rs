//! The Lambda function `plan`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    plan::serve().await
}
