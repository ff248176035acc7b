//! The Lambda function `checkpoint`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    checkpoint::serve().await
}
