//! `datadetox`: see `datadetox --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    datadetox::news::listen();
    datadetox::cli::main().await
}
