//! Which stream the worker serves next.
//!
//! Streams of listeners who are about to run out of audio come first, by the audio that they have left (earliest deadline first). What is
//! left of the model's time is shared evenly by all others: streams whose listeners have plenty, and those that nobody plays in real time.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// How a stream shares the model with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamClass {
    /// It is played while it is made: it goes first when its listener is about to run out of audio.
    #[default]
    RealTime,
    /// It gets an even share of the time that streams of listeners leave.
    BestEffort,
}

/// A listener with this much audio left can wait for others, in seconds.
const COMFORT: f64 = 0.5;
/// Most seconds that a stream may be behind its listener in the count: one that was behind by more, as one whose reader paused, would go
/// before all others until it had caught up with a clock that nobody listens by.
const MAX_DEBT: f64 = 0.5;
/// Seconds from its opening in which a stream is to have its first audio.
const START: f64 = 0.1;
/// Until [`LONGEST_START`], listeners with less audio left than these seconds go before a stream that nobody has heard yet: many starts at
/// once delay each other, not those who listen. Where denoiser calls take longer, it is as long as [`CALLS_AHEAD`] of them.
const LISTENERS_FIRST: f64 = 0.05;
/// Denoiser calls that may be made before the next audio of a listener is there: the one under way, and its own.
const CALLS_AHEAD: f64 = 2.0;
/// Seconds after which a stream that nobody has heard is as urgent as any.
const LONGEST_START: f64 = 2.0;

/// The least is served next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Urgency {
    /// Seconds of audio that the listener has left; negative when he waits.
    Deadline(f64),
    /// Seconds of the model's time that it has had.
    Share(f64),
}

impl Urgency {
    /// Whether a listener is about to run out of audio, or waits for the first.
    pub fn is_near(&self) -> bool {
        matches!(self, Urgency::Deadline(_))
    }

    pub fn order(&self, other: &Urgency) -> Ordering {
        match (self, other) {
            (Urgency::Deadline(a), Urgency::Deadline(b)) => a.total_cmp(b),
            (Urgency::Share(a), Urgency::Share(b)) => a.total_cmp(b),
            (Urgency::Deadline(_), Urgency::Share(_)) => Ordering::Less,
            (Urgency::Share(_), Urgency::Deadline(_)) => Ordering::Greater,
        }
    }
}

/// What the urgency of one stream comes from.
pub(super) struct Account {
    class: StreamClass,
    opened: Instant,
    /// When its listener began to hear it, moved by the pauses since.
    playing_since: Option<Instant>,
    /// Seconds of the model's time that it has had, counted from those of the stream that had least when it was opened.
    share: f64,
}

impl Account {
    pub fn new(class: StreamClass, opened: Instant) -> Account {
        Account {
            class,
            opened,
            playing_since: None,
            share: 0.0,
        }
    }

    pub fn share(&self) -> f64 {
        self.share
    }

    /// Begins with as much as others have had.
    pub fn begin_at(&mut self, share: f64) {
        self.share = share;
    }

    /// Notes time that the model worked for it.
    pub fn charge(&mut self, time: Duration) {
        self.share += time.as_secs_f64();
    }

    /// Notes that its listener has something to hear.
    pub fn plays(&mut self, now: Instant) {
        self.playing_since.get_or_insert(now);
    }

    /// Its urgency when `made` seconds of audio have been made for it and a denoiser call takes `call`.
    pub fn urgency(&mut self, made: f64, now: Instant, call: Duration) -> Urgency {
        if self.class == StreamClass::BestEffort {
            return Urgency::Share(self.share);
        }
        let slack = self.slack(made, now, call.as_secs_f64());
        if slack < COMFORT {
            Urgency::Deadline(slack)
        } else {
            Urgency::Share(self.share)
        }
    }

    fn slack(&mut self, made: f64, now: Instant, call: f64) -> f64 {
        let Some(since) = &mut self.playing_since else {
            let waited = (now - self.opened).as_secs_f64();
            let least = match waited < LONGEST_START {
                true => (CALLS_AHEAD * call).clamp(LISTENERS_FIRST, COMFORT),
                false => -MAX_DEBT,
            };
            return (START - waited).max(least);
        };
        let slack = made - now.saturating_duration_since(*since).as_secs_f64();
        if slack < -MAX_DEBT {
            // The listener has paused: he goes on from here.
            *since += Duration::from_secs_f64(-MAX_DEBT - slack);
            return -MAX_DEBT;
        }
        slack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(10);

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_listener_about_to_run_dry_goes_first_and_one_who_has_plenty_shares() {
        let start = Instant::now();
        let mut dry = Account::new(StreamClass::RealTime, start);
        let mut rich = Account::new(StreamClass::RealTime, start);
        let mut batch = Account::new(StreamClass::BestEffort, start);
        dry.plays(start);
        rich.plays(start);
        rich.charge(Duration::from_secs(2));
        batch.charge(Duration::from_secs(1));
        let now = after(start, 1.0);
        let (dry, rich) = (dry.urgency(1.1, now, CALL), rich.urgency(9.0, now, CALL));
        let batch = batch.urgency(0.0, now, CALL);
        assert_eq!(dry.order(&batch), Ordering::Less);
        assert_eq!(batch.order(&rich), Ordering::Less);
    }

    #[test]
    fn a_pause_is_forgotten_but_for_half_a_second() {
        let start = Instant::now();
        let mut paused = Account::new(StreamClass::RealTime, start);
        paused.plays(start);
        let later = after(start, 60.0);
        assert_eq!(
            paused.urgency(1.0, later, CALL),
            Urgency::Deadline(-MAX_DEBT)
        );
        // A second of audio made since makes it comfortable, not one minute of it.
        assert!(matches!(
            paused.urgency(2.1, later, CALL),
            Urgency::Share(_)
        ));
    }

    #[test]
    fn a_start_waits_for_listeners_but_not_for_ever() {
        let start = Instant::now();
        let mut fresh = Account::new(StreamClass::RealTime, start);
        let mut listener = Account::new(StreamClass::RealTime, start);
        listener.plays(start);
        let at = |account: &mut Account, made, seconds, call| {
            account.urgency(made, after(start, seconds), call)
        };
        let waits = at(&mut fresh, 0.0, 1.0, CALL).order(&at(&mut listener, 1.02, 1.0, CALL));
        assert_eq!(waits, Ordering::Greater);
        let goes = at(&mut fresh, 0.0, 2.5, CALL).order(&at(&mut listener, 2.52, 2.5, CALL));
        assert_eq!(goes, Ordering::Less);
        // A call of the start would take what the listener has left.
        let slow = Duration::from_millis(100);
        let waits = at(&mut fresh, 0.0, 1.0, slow).order(&at(&mut listener, 1.15, 1.0, slow));
        assert_eq!(waits, Ordering::Greater);
    }
}
