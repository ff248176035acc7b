//! The Lambda function `halt`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    halt::serve().await
}
