//! Places for streams: how many are worked on or still played, in units of one stream of the first model.
//!
//! A stream keeps its place when its last sample was made, until a listener who plays it has heard it or its caller is gone. So a machine that
//! made some streams ahead of time does not promise that time twice. Where the model has time to spare, such a place goes to a stream that
//! asks for one: a caller that writes files instead of playing them is not held up by audio that nobody listens to.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Peer;

/// The places of a server; clones are the same ones.
#[derive(Clone)]
pub(super) struct Places {
    total: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    /// By streams that are worked on.
    worked_on: usize,
    /// By streams that are complete and still played.
    played: Vec<Played>,
}

/// A stream that is complete.
struct Played {
    places: usize,
    until: Instant,
    peer: Arc<Peer>,
}

/// The places of one stream; given back when dropped, or kept by [`Place::played`].
pub(super) struct Place {
    owner: Places,
    places: usize,
}

impl Places {
    pub fn new(total: usize) -> Places {
        Places {
            total,
            taken: Arc::default(),
        }
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Takes `places`, or all where there are fewer. `has_time` says whether the model has time to spare, so that streams that are only played
    /// give up theirs, the one that ends next first.
    pub fn take(&self, places: usize, has_time: bool) -> Option<Place> {
        let places = places.min(self.total);
        let mut taken = self.taken(Instant::now());
        while self.left(&taken) < places {
            // The last one is what `taken` sorts to the end.
            if !has_time || taken.played.pop().is_none() {
                return None;
            }
        }
        taken.worked_on += places;
        Some(Place {
            owner: self.clone(),
            places,
        })
    }

    /// Whether one could be taken.
    pub fn has_room(&self, has_time: bool) -> bool {
        let taken = self.taken(Instant::now());
        self.left(&taken) > 0 || (has_time && !taken.played.is_empty())
    }

    fn left(&self, taken: &Taken) -> usize {
        let played: usize = taken.played.iter().map(|played| played.places).sum();
        self.total.saturating_sub(taken.worked_on + played)
    }

    /// What is taken, without the streams that have been heard or whose callers are gone, and the one that is heard first at the end.
    fn taken(&self, now: Instant) -> MutexGuard<'_, Taken> {
        let mut taken = self.lock();
        taken
            .played
            .retain(|played| played.until > now && !played.peer.is_gone());
        taken
            .played
            .sort_by_key(|played| std::cmp::Reverse(played.until));
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Place {
    /// Says that the stream is complete, and will have been heard at `until` by who is at the other end of `peer`.
    pub fn played(self, until: Instant, peer: Arc<Peer>) {
        let places = self.places;
        self.owner.lock().played.push(Played {
            places,
            until,
            peer,
        });
        // Dropped, it is no longer worked on.
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.owner.lock().worked_on -= self.places;
    }
}

/// When a listener who plays a stream in real time will have heard it: from its first chunk on, and later by each pause in which the next one
/// had not come yet.
#[derive(Default)]
pub(super) struct Playback(Option<Instant>);

impl Playback {
    /// Notes that audio from `position` on, counted from the start of the stream, is handed out now.
    pub fn brings(&mut self, position: Duration, now: Instant) {
        let began = now.checked_sub(position).unwrap_or(now);
        self.0 = Some(self.0.map_or(began, |before| before.max(began)));
    }

    /// When all of it has been heard, `length` long.
    pub fn end(&self, length: Duration, now: Instant) -> Instant {
        self.0.map_or(now, |began| began + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn peer() -> Arc<Peer> {
        Peer::new(None)
    }

    #[test]
    fn a_stream_that_is_played_keeps_its_place_unless_there_is_time_to_spare() {
        let places = Places::new(3);
        let first = places.take(2, false).unwrap();
        first.played(Instant::now() + LONG, peer());
        let second = places.take(1, false).unwrap();
        assert!(places.take(1, false).is_none() && !places.has_room(false));
        assert!(places.has_room(true));
        let third = places.take(2, true).unwrap();
        assert!(places.take(1, true).is_none() && !places.has_room(true));
        drop((second, third));
        assert!(places.take(9, false).is_some());
    }

    #[test]
    fn what_was_heard_or_given_up_holds_no_place() {
        let places = Places::new(2);
        let (heard, left) = (peer(), peer());
        let take = || places.take(1, false).unwrap();
        take().played(Instant::now(), heard);
        take().played(Instant::now() + LONG, left.clone());
        let other = places.take(1, false).unwrap();
        assert!(!places.has_room(false));
        left.leaves();
        assert!(places.has_room(false));
        drop(other);
    }

    #[test]
    fn the_stream_that_ends_next_gives_up_its_place_first() {
        let places = Places::new(2);
        let (soon, late) = (peer(), peer());
        let take = || places.take(1, false).unwrap();
        let now = Instant::now();
        take().played(now + LONG, soon);
        take().played(now + 2 * LONG, late.clone());
        let _third = places.take(1, true).unwrap();
        late.leaves();
        assert!(places.has_room(false));
    }

    #[test]
    fn a_pause_of_the_audio_makes_the_listener_later() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut playback = Playback::default();
        assert_eq!(playback.end(second, start), start);
        playback.brings(Duration::ZERO, start);
        playback.brings(second, start);
        assert_eq!(playback.end(4 * second, start), start + 4 * second);
        playback.brings(2 * second, start + 5 * second);
        assert_eq!(playback.end(4 * second, start), start + 7 * second);
    }
}
