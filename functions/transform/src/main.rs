//! The Lambda function `transform`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    transform::serve().await
}
