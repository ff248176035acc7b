//! Ctrl-C and its kin.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::say;

/// What `work` comes to, or `interrupted` when somebody asks the program to end.
pub(crate) async fn until_interrupted<T>(work: impl Future<Output = Result<T>>, interrupted: T) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => Ok(interrupted),
        _ = hang_up.recv() => Ok(interrupted),
        _ = interrupt.recv() => {
            say::line("\nstopping");
            Ok(interrupted)
        }
    }
}
