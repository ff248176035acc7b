//! A panic becomes an error with a name: where it happened, and nothing of what it says, which may quote a row.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use catalog::{Error, Fault, Result};
use futures_util::FutureExt as _;

/// The last panic of this process, of whatever task: a function serves one call at a time.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// From now on a panic is a line in the log, and is remembered.
pub(crate) fn note_all() {
    std::panic::set_hook(Box::new(note));
}

fn note(info: &PanicHookInfo<'_>) {
    let panic = told(info);
    tracing::error!("panicked at {panic}");
    remember(Some(panic));
}

/// What the work answers, or `Internal.Bug` with the place: where it panics, and where it fails while a task that it
/// began has panicked.
///
/// # Errors
/// Those of the work, or `Internal.Bug`.
pub(crate) async fn caught<A>(work: impl Future<Output = Result<A>>) -> Result<A> {
    remember(None);
    // What was being done is dropped with its connections; the next call begins with none of it.
    let done = AssertUnwindSafe(work).catch_unwind().await;
    match (done, remember(None)) {
        (Ok(Err(_)) | Err(_), Some(panic)) => Err(Error::new(Fault::Bug, format!("the function panicked at {panic}"))),
        (Err(_), None) => Err(Error::new(Fault::Bug, "the function panicked")),
        (Ok(answer), _) => answer,
    }
}

fn remember(panic: Option<String>) -> Option<String> {
    std::mem::replace(&mut *LAST.lock().unwrap_or_else(PoisonError::into_inner), panic)
}

/// The place, and the message where it is a text of the program itself.
fn told(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(
        || Cow::Borrowed("an unknown place"),
        |at| Cow::Owned(format!("{}:{}:{}", file(at.file()), at.line(), at.column())),
    );
    match info.payload().downcast_ref::<&'static str>() {
        Some(message) => format!("{place}: {message}"),
        None => place.into_owned(),
    }
}

/// A file without the folders of the machine that built it: `arrow2-0.18.0/src/lib.rs`.
fn file(path: &str) -> &str {
    let Some(at) = path.rfind("/src/").filter(|_| path.starts_with('/')) else { return path };
    let start = path[..at].rfind('/').map_or(0, |slash| slash + 1);
    &path[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work under the hook, which is taken back for the other tests of this process.
    async fn report(work: impl Future<Output = Result<()>>) -> String {
        let before = std::panic::take_hook();
        note_all();
        let done = caught(work).await;
        std::panic::set_hook(before);
        let error = done.expect_err("it panics");
        assert_eq!(error.fault(), Fault::Bug);
        error.report()
    }

    /// One test: hook and memory are the process's.
    #[tokio::test]
    async fn a_panic_is_a_bug_with_its_place_and_without_a_value() {
        let value = "secret".to_owned();
        let value = &value;
        let said = report(async move { panic!("{value} is no number") }).await;
        assert!(said.starts_with(&format!("the function panicked at {}:", file!())), "{said}");
        assert!(!said.contains("secret"), "{said}");
        let said = report(async { unreachable!() }).await;
        assert!(said.contains(": internal error: entered unreachable code (to do: "), "{said}");
        // A task's panic is what the failure comes from.
        let said = report(async move {
            let value = value.clone();
            let ended = tokio::spawn(async move { panic!("{value}") }).await;
            Err(Error::because(Fault::LakeUnavailable, "a part is not written", ended.expect_err("it panics")))
        });
        let said = said.await;
        assert!(said.starts_with(&format!("the function panicked at {}:", file!())), "{said}");
        assert!(!said.contains("secret"), "{said}");
        assert_eq!(caught(async { Ok(7) }).await.expect("it does not panic"), 7);
    }

    #[test]
    fn a_place_names_no_folder_of_a_machine() {
        for (path, shown) in [
            (
                "/home/me/.cargo/registry/src/index.crates.io-1949/arrow2-0.18.0/src/io/a.rs",
                "arrow2-0.18.0/src/io/a.rs",
            ),
            ("/rustc/0123/library/core/src/option.rs", "core/src/option.rs"),
            ("functions/load/src/lib.rs", "functions/load/src/lib.rs"),
        ] {
            assert_eq!(file(path), shown);
        }
    }
}
