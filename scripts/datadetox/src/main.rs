//! `datadetox`: see `datadetox --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    datadetox::cli::main().await
}
