//! The Lambda function `extract`.

use host::{Needs, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve(Needs { source: true, ..Needs::LAKE }, extract::handle).await
}
