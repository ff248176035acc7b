//! A request's body, as large and as slow as its service bears: measured while it is read.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It is longer than its service takes.
    TooLarge,
    /// It stood still.
    TooSlow,
    /// Its sender went away.
    Cut,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the body is longer than is taken",
            Self::TooSlow => "the body did not come in time",
            Self::Cut => "the body is cut",
        })
    }
}

impl std::error::Error for Broken {}

/// The same body, which breaks where it has more bytes than `most`, or where none come for so long. One that says before
/// that it is longer breaks at once.
pub(super) fn bounded(body: Body, most: usize, time: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let left = if body.size_hint().lower() > most as u64 { None } else { Some(most) };
    let chunks =
        futures_util::stream::try_unfold((body.into_data_stream(), left), move |(mut chunks, left)| async move {
            let left = left.ok_or(Broken::TooLarge)?;
            let next = tokio::time::timeout(time, chunks.try_next()).await.map_err(|_| Broken::TooSlow)?;
            let Some(chunk) = next.map_err(|_| Broken::Cut)? else { return Ok(None) };
            let left = left.checked_sub(chunk.len()).ok_or(Broken::TooLarge)?;
            Ok::<_, Broken>(Some((chunk, (chunks, Some(left)))))
        });
    Body::from_stream(chunks)
}

/// The whole of a bounded body.
pub(crate) async fn whole(body: Body) -> Result<Bytes, Broken> {
    let mut chunks = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.try_next().await.map_err(|error| why(&error))? {
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

fn why(error: &axum::Error) -> Broken {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(broken) = error.downcast_ref() {
            return *broken;
        }
        cause = error.source();
    }
    Broken::Cut
}
