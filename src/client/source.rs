//! The mel of a call, kept as long as another call may need it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures_util::Stream;

use super::wire::wire_mel;
use crate::mel::Mel;
use crate::proto;

/// The mels of a live call, which come once and may have to be sent again.
pub(super) struct LiveMels(Arc<Mutex<Inner>>);

struct Inner {
    source: Pin<Box<dyn Stream<Item = Mel> + Send>>,
    /// What came and may be needed again, each with its first frame.
    kept: VecDeque<(u64, proto::Mel)>,
    /// Frames that came.
    end: u64,
    /// The first frame that a call from here on would need.
    needed: u64,
    /// Which call may take mels: those that failed may not.
    attempt: u64,
}

/// What one call sends.
pub(super) struct Sending {
    mels: Arc<Mutex<Inner>>,
    attempt: u64,
    /// Frame that is sent next.
    next: u64,
    sent: Arc<AtomicU64>,
}

impl LiveMels {
    pub fn new(source: impl Stream<Item = Mel> + Send + 'static) -> LiveMels {
        LiveMels(Arc::new(Mutex::new(Inner {
            source: Box::pin(source),
            kept: VecDeque::new(),
            end: 0,
            needed: 0,
            attempt: 0,
        })))
    }

    /// Says that frames before `frame` will not be asked for again.
    pub fn needs(&self, frame: u64) {
        lock(&self.0).needed = frame;
    }

    /// The frame of the clip that another call begins with, and the mels from there on. `sent` counts their frames; the call before gets no
    /// more.
    pub fn send(&self, sent: Arc<AtomicU64>) -> (u64, Sending) {
        let mut inner = lock(&self.0);
        inner.attempt += 1;
        inner.forget(u64::MAX);
        let next = inner.kept.front().map_or(inner.end, |(first, _)| *first);
        let sending = Sending {
            mels: self.0.clone(),
            attempt: inner.attempt,
            next,
            sent,
        };
        (next, sending)
    }
}

impl Inner {
    /// Forgets pieces that end before the frame that is needed and before `sent`.
    fn forget(&mut self, sent: u64) {
        let bound = self.needed.min(sent);
        while let Some((first, mel)) = self.kept.front()
            && first + u64::from(mel.n_frames) <= bound
        {
            self.kept.pop_front();
        }
    }
}

impl Stream for Sending {
    type Item = proto::Mel;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<proto::Mel>> {
        let mels = self.mels.clone();
        let mut inner = lock(&mels);
        if inner.attempt != self.attempt {
            return Poll::Ready(None);
        }
        let ready = inner.kept.iter().find(|(first, _)| *first >= self.next);
        let mel = match ready {
            Some((_, mel)) => mel.clone(),
            None => match inner.source.as_mut().poll_next(context) {
                Poll::Ready(Some(mel)) => {
                    let (first, mel) = (inner.end, wire_mel(&mel));
                    inner.end += u64::from(mel.n_frames);
                    inner.kept.push_back((first, mel.clone()));
                    mel
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.next += u64::from(mel.n_frames);
        self.sent
            .fetch_add(u64::from(mel.n_frames), Ordering::AcqRel);
        inner.forget(self.next);
        Poll::Ready(Some(mel))
    }
}

fn lock(mels: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    mels.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};
    use ndarray::Array2;

    /// Pieces of 1, 2, 3 .. frames whose values are their own frames.
    fn pieces(count: usize) -> Vec<Mel> {
        let piece = |length: usize| {
            let first = length * (length - 1) / 2;
            Mel::new(Array2::from_shape_fn((1, length), |(_, f)| {
                (first + f) as f32
            }))
            .unwrap()
        };
        (1..=count).map(piece).collect()
    }

    fn frames(mels: &[proto::Mel]) -> Vec<f32> {
        let bytes = mels.iter().flat_map(|mel| mel.data_f32le.to_vec());
        let bytes: Vec<u8> = bytes.collect();
        let (values, _) = bytes.as_chunks::<4>();
        values.iter().map(|v| f32::from_le_bytes(*v)).collect()
    }

    fn counter() -> Arc<AtomicU64> {
        Arc::default()
    }

    #[test]
    fn another_call_gets_what_it_needs_and_then_what_is_new() {
        let mels = LiveMels::new(futures_util::stream::iter(pieces(6)));
        let (start, mut first) = mels.send(counter());
        let sent: Vec<_> = (0..4)
            .map(|_| first.next().now_or_never().unwrap().unwrap())
            .collect();
        assert_eq!(
            (start, frames(&sent)),
            (0, (0..10).map(|f| f as f32).collect())
        );
        // Frame 4 lies in the third piece, which begins with frame 3.
        mels.needs(4);
        let count = counter();
        let (start, second) = mels.send(count.clone());
        assert_eq!(first.next().now_or_never(), Some(None));
        let rest: Vec<_> = second.collect().now_or_never().unwrap();
        assert_eq!(
            (start, frames(&rest)),
            (3, (3..21).map(|f| f as f32).collect())
        );
        assert_eq!(count.load(Ordering::Acquire), 18);
    }

    #[test]
    fn what_no_call_can_need_is_forgotten_as_the_mel_goes_on() {
        let mels = LiveMels::new(futures_util::stream::iter(pieces(40)));
        let (_, mut sending) = mels.send(counter());
        for piece in 0..40 {
            sending.next().now_or_never().unwrap().unwrap();
            mels.needs(sending.next.saturating_sub(30));
            assert!(lock(&mels.0).kept.len() <= 10, "{piece}");
        }
        assert_eq!(sending.next().now_or_never(), Some(None));
    }
}
