//! The Lambda function `halt`.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve_pure(halt::handle).await
}
