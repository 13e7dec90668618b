//! Frames that wait.

use std::collections::VecDeque;

/// A queue of frames of one width, in one piece of memory: a stream holds hundreds of them, and a server hundreds of streams.
#[derive(Debug)]
pub(crate) struct FrameQueue {
    width: usize,
    values: VecDeque<f32>,
}

impl FrameQueue {
    /// An empty queue of frames of `width` values.
    pub fn new(width: usize) -> FrameQueue {
        FrameQueue {
            width,
            values: VecDeque::new(),
        }
    }

    /// Frames held.
    pub fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    /// Adds a frame, whose values are as many as the queue is wide.
    pub fn push(&mut self, frame: impl IntoIterator<Item = f32>) {
        self.values.extend(frame);
        debug_assert_eq!(self.values.len() % self.width.max(1), 0);
    }

    /// Writes the oldest frame to `out` and forgets it. False when there is none.
    pub fn pop(&mut self, out: &mut [f32]) -> bool {
        let found = self.len() > 0;
        if found {
            let oldest = self.values.drain(..self.width);
            out.iter_mut().zip(oldest).for_each(|(out, v)| *out = v);
        }
        found
    }

    /// The values of frame `index`, the oldest being 0.
    pub fn get(&self, index: usize) -> Option<impl Iterator<Item = f32>> {
        let from = index * self.width;
        (index < self.len()).then(|| self.values.range(from..from + self.width).copied())
    }

    /// Forgets the oldest `count` frames.
    pub fn forget(&mut self, count: usize) {
        self.values
            .drain(..(count * self.width).min(self.values.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_in_the_order_in_which_they_came() {
        let mut queue = FrameQueue::new(2);
        for frame in 0..4 {
            queue.push([frame as f32, 10.0 + frame as f32]);
        }
        let mut out = [0.0; 2];
        assert!(queue.pop(&mut out));
        assert_eq!((out, queue.len()), ([0.0, 10.0], 3));
        assert_eq!(queue.get(1).unwrap().collect::<Vec<_>>(), [2.0, 12.0]);
        assert!(queue.get(3).is_none());
        queue.forget(2);
        assert!(queue.pop(&mut out));
        assert_eq!(out, [3.0, 13.0]);
        assert!(!queue.pop(&mut out));
        queue.forget(5);
        assert_eq!(queue.len(), 0);
    }
}
