//! The Lambda function `load`.

use host::{Needs, RuntimeError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    host::serve(Needs { warehouse: true, ..Needs::LAKE }, load::handle).await
}
