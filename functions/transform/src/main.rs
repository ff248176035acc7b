//! The Lambda function `transform`.

use host::{Needs, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve(Needs::LAKE, transform::handle).await
}
