//! The connections of a door, no more than it has places: whoever holds connections without asking anything cannot take the
//! files of the process, nor keep out who asks.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

pub(super) struct Places {
    most: usize,
    taken: Mutex<Vec<Arc<Seat>>>,
    /// A place was left, or whoever has one waits now.
    changed: Notify,
}

/// A connection's place. It is free again when this is dropped.
pub(super) struct Place {
    seat: Arc<Seat>,
    places: Arc<Places>,
}

struct Seat {
    state: Mutex<State>,
    given_away: Notify,
}

struct State {
    requests: usize,
    since: Instant,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), changed: Notify::new() })
    }

    /// A place for a new connection. Where all are taken, whoever has waited longest for its next request gives his away;
    /// where all are at work, the first that has done.
    pub(super) async fn take(self: &Arc<Self>) -> Arc<Place> {
        loop {
            if let Some(place) = self.try_take() {
                return place;
            }
            self.changed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>) -> Option<Arc<Place>> {
        let mut taken = self.taken();
        if taken.len() >= self.most {
            let waiting = taken.iter().enumerate().filter_map(|(at, seat)| Some((seat.waits_since()?, at)));
            let (_, longest) = waiting.min()?;
            taken.swap_remove(longest).given_away.notify_one();
        }
        let state = Mutex::new(State { requests: 0, since: Instant::now() });
        let seat = Arc::new(Seat { state, given_away: Notify::new() });
        taken.push(Arc::clone(&seat));
        Some(Arc::new(Place { seat, places: Arc::clone(self) }))
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == 0).then_some(state.since)
    }
}

impl Place {
    /// Waits until it is another's.
    pub(super) async fn given_away(&self) {
        self.seat.given_away.notified().await;
    }

    /// A request has come.
    pub(super) fn work(self: &Arc<Self>) -> Work {
        self.seat.state().requests += 1;
        Work(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().retain(|seat| !Arc::ptr_eq(seat, &self.seat));
        self.places.changed.notify_one();
    }
}

/// A request, until its answer is sent.
pub(super) struct Work(Arc<Place>);

impl Work {
    pub(super) fn until_sent(self, body: Body) -> Sent {
        Sent { body, _work: self }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut state = self.0.seat.state();
        state.requests -= 1;
        state.since = Instant::now();
        drop(state);
        self.0.places.changed.notify_one();
    }
}

/// The body of an answer.
pub(super) struct Sent {
    body: Body,
    _work: Work,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
