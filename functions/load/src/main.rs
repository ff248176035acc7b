//! The Lambda function `load`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    load::serve().await
}
