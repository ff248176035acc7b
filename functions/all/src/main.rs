//! Every function in one program: on a laptop they are linked once and not six times, and start from one file. In AWS each
//! is a program of its own, so that it loads no more than it needs.
//!
//! `_HANDLER`, which Lambda sets for every function, says which one this process is.

use host::RuntimeError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RuntimeError> {
    match host::handler().as_str() {
        "checkpoint" => checkpoint::serve().await,
        "plan" => plan::serve().await,
        "extract" => extract::serve().await,
        "transform" => transform::serve().await,
        "load" => load::serve().await,
        "halt" => halt::serve().await,
        other => Err(format!("_HANDLER names no function: {other:?}").into()),
    }
}
